// The collection's registered names.
#include "fathom/plugin.h"

FATHOM_PLUGIN("tts_text", "0.1.0", "Apache-2.0", "fathom", "") { (void)r; }
