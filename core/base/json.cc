#include "fathom/json.h"

FATHOM_JSON_TEXT;
