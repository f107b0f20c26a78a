// Names of checkpoint files, as Lightning makes them from a template: "{epoch}-{val_loss:.2f}" ->
// "epoch=3-val_loss=0.25".
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace fathom::callbacks {

struct MetricValue {
  double number = 0;
  bool integer = false;  // formatted as an int: epoch and step
};
using MetricValues = std::map<std::string, MetricValue>;

// Lightning's rule, an empty template meaning "{epoch}-{step}": longer keys are replaced first, a key without a metric
// is the integer 0, and the rest is Python's str.format. Error kFailed where Python raises (unbalanced braces, a bad
// spec).
std::string format_checkpoint_name(std::string_view filename, const MetricValues& metrics, bool auto_insert_metric_name,
                                   std::string_view prefix = "");

// Python's format(value, spec) for an int or a float: [[fill]align][sign][z][#][0][width][grouping][.precision][type].
std::string python_format(MetricValue value, std::string_view spec);

}  // namespace fathom::callbacks
