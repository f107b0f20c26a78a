// The collection's registered names.
#include "fathom/plugin.h"

#include "plugins/nlp/metrics/classification_report.h"
#include "plugins/nlp/models/text_classification_model.h"

FATHOM_PLUGIN("nlp", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::nlp;  // NOLINT
  r.add<TextClassificationModel>(
      "nlp.TextClassificationModel", "one class a text",
      {"nemo.collections.nlp.models.text_classification.text_classification_model.TextClassificationModel",
       "nemo.collections.nlp.models.text_classification.TextClassificationModel",
       "nemo.collections.nlp.models.TextClassificationModel"});
  r.add<ClassificationReport>("nlp.ClassificationReport", "precision, recall and F1 of classes",
                              {"nemo.collections.nlp.metrics.classification_report.ClassificationReport",
                               "nemo.collections.nlp.metrics.ClassificationReport"});
}
