#include "tests/conformance/suites.h"

namespace fathom::conformance {

std::vector<Suite> all_suites() {
  std::vector<Suite> suites;
#ifdef FATHOM_SUITES_CONFIG
  add_config_suites(suites);
#endif
#ifdef FATHOM_SUITES_TYPING
  add_typing_suites(suites);
#endif
#ifdef FATHOM_SUITES_LOADERS
  add_loader_suites(suites);
#endif
#ifdef FATHOM_SUITES_TOKENIZERS
  add_tokenizer_suites(suites);
#endif
#ifdef FATHOM_SUITES_CHECKPOINT
  add_checkpoint_suites(suites);
#endif
#ifdef FATHOM_SUITES_OPTIM
  add_optim_suites(suites);
#endif
#ifdef FATHOM_SUITES_MODEL
  add_partial_load_suites(suites);
  add_model_suites(suites);
#endif
#ifdef FATHOM_SUITES_MODULE_CORE
  add_module_core_suites(suites);
#endif
#ifdef FATHOM_SUITES_FREEZING
  add_freezing_suites(suites);
#endif
#ifdef FATHOM_SUITES_TRACE
  add_trace_suites(suites);
  add_logging_suites(suites);
  add_checkpoint_name_suites(suites);
#endif
#ifdef FATHOM_SUITES_PARITY
  add_parity_suites(suites);
#endif
#ifdef FATHOM_SUITES_ASR
  add_asr_suites(suites);
  add_data_order_suites(suites);
#endif
#ifdef FATHOM_SUITES_WHOLE_MODEL
  add_whole_model_suites(suites);
  add_v1_model_suites(suites);
  add_timestamp_suites(suites);
#endif
  return suites;
}

const Suite* find_suite(const std::vector<Suite>& suites, const std::string& name) {
  const Suite* best = nullptr;  // the most specific
  for (const auto& suite : suites) {
    const bool covers = name == suite.name || name.rfind(suite.name + "/", 0) == 0;
    if (covers && (best == nullptr || suite.name.size() > best->name.size())) best = &suite;
  }
  return best;
}

}  // namespace fathom::conformance
