#include "plugins/asr/metrics/classification_accuracy.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace fathom::asr {
namespace {

constexpr int64_t kMostClasses = 1 << 24;

struct Scored {
  at::Tensor logits, labels;  // (B,C), (B) int64, on the CPU
};

Scored scored(const Values& values) {
  Scored out{values.tensor("logits").detach().to(at::kCPU),
             values.tensor("labels").to(at::kCPU, at::kLong).contiguous()};
  if (out.logits.dim() != 2 || out.labels.dim() != 1 || out.logits.size(0) != out.labels.size(0)) {
    throw Error(Code::kFailed, "an accuracy needs one label for each row of logits")
        .seen("logits of shape " + c10::str(out.logits.sizes()) + ", labels of " + c10::str(out.labels.sizes()))
        .expected("(B, C) and (B)");
  }
  return out;
}

}  // namespace

TopKClassificationAccuracy::TopKClassificationAccuracy(const Options& options) {
  const Json list = options.top_k.is_array() ? options.top_k : Json::array({options.top_k});
  for (const auto& k : list) {
    if (!k.is_number_integer() || k.get<int64_t>() < 1) {
      throw Error(Code::kFailed, "top_k is no number of classes")
          .at("top_k")
          .seen(json_text(options.top_k))
          .expected("a whole number of at least 1, or a list of them");
    }
    top_k_.push_back(k.get<int64_t>());
  }
  if (top_k_.empty()) throw Error(Code::kFailed, "top_k is an empty list").at("top_k").expected("numbers of classes");
  reset();
}

void TopKClassificationAccuracy::update(const Values& values) {
  const auto [logits, labels] = scored(values);
  const int64_t most = *std::max_element(top_k_.begin(), top_k_.end());
  if (most > logits.size(1)) {
    throw Error(Code::kFailed, "top_k is more than there are classes")
        .at("top_k")
        .seen(std::to_string(most))
        .expected("at most " + std::to_string(logits.size(1)));
  }
  const at::Tensor best = std::get<1>(logits.topk(most, 1)).eq(labels.unsqueeze(1));
  for (size_t i = 0; i < top_k_.size(); ++i) correct_[i] += best.narrow(1, 0, top_k_[i]).sum().item<int64_t>();
  total_ += labels.size(0);
}

std::vector<std::pair<std::string, double>> TopKClassificationAccuracy::compute() const {
  std::vector<std::pair<std::string, double>> out;
  for (size_t i = 0; i < top_k_.size(); ++i) {
    const std::string name = "top_" + std::to_string(top_k_[i]);
    out.emplace_back(name, static_cast<double>(correct_[i]) / static_cast<double>(total_));
    out.emplace_back("correct_" + name, static_cast<double>(correct_[i]));
  }
  out.emplace_back("total", static_cast<double>(total_));
  return out;
}

void TopKClassificationAccuracy::reset() {
  correct_.assign(top_k_.size(), 0);
  total_ = 0;
}

std::map<std::string, double> TopKClassificationAccuracy::sums() const {
  std::map<std::string, double> out = {{"total", static_cast<double>(total_)}};
  for (size_t i = 0; i < top_k_.size(); ++i)
    out["correct_" + std::to_string(top_k_[i])] = static_cast<double>(correct_[i]);
  return out;
}

void TopKClassificationAccuracy::set_sums(const std::map<std::string, double>& sums) {
  total_ = static_cast<int64_t>(sums.at("total"));
  for (size_t i = 0; i < top_k_.size(); ++i)
    correct_[i] = static_cast<int64_t>(sums.at("correct_" + std::to_string(top_k_[i])));
}

MacroAccuracy::MacroAccuracy(const Options& options) {
  if (options.num_classes < 1 || options.num_classes > kMostClasses) {
    throw Error(Code::kFailed, "there are no classes, or too many")
        .at("num_classes")
        .seen(std::to_string(options.num_classes))
        .expected("1 to " + std::to_string(kMostClasses));
  }
  totals_.resize(static_cast<size_t>(options.num_classes));
  summed_.resize(totals_.size());
}

void MacroAccuracy::update(const Values& values) {
  const auto [logits, labels] = scored(values);
  const at::Tensor answers = logits.argmax(1).contiguous();
  const auto count = static_cast<int64_t>(totals_.size());
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const int64_t label = labels.const_data_ptr<int64_t>()[i], answer = answers.const_data_ptr<int64_t>()[i];
    if (label < 0 || label >= count || answer >= count) {
      throw Error(Code::kFailed, "a class lies beyond the accuracy's num_classes")
          .seen(std::to_string(std::max(label, answer)))
          .expected("0 to " + std::to_string(count - 1));
    }
    ++totals_[label].items;
    ++totals_[answer].answers;
    if (label == answer) ++totals_[label].both;
  }
  for (size_t c = 0; c < totals_.size(); ++c) {
    summed_[c].items += totals_[c].items;
    summed_[c].answers += totals_[c].answers;
    summed_[c].both += totals_[c].both;
  }
}

std::vector<std::pair<std::string, double>> MacroAccuracy::compute() const {
  double sum = 0;
  int64_t classes = 0;
  for (const Counts& c : summed_) {
    if (c.items == 0 && c.answers == 0) continue;
    ++classes;
    if (c.items > 0) sum += static_cast<double>(c.both) / static_cast<double>(c.items);
  }
  return {{"accuracy", sum / static_cast<double>(classes)}};
}

void MacroAccuracy::reset() {
  totals_.assign(totals_.size(), Counts{});
  summed_.assign(summed_.size(), Counts{});
}

std::map<std::string, double> MacroAccuracy::sums() const {
  std::map<std::string, double> out;
  for (const auto& [name, list] : {std::pair{"total", &totals_}, {"summed", &summed_}}) {
    for (size_t c = 0; c < list->size(); ++c) {
      const Counts& counts = (*list)[c];
      const std::string key = std::string(name) + "." + std::to_string(c) + ".";
      out[key + "items"] = static_cast<double>(counts.items);
      out[key + "answers"] = static_cast<double>(counts.answers);
      out[key + "both"] = static_cast<double>(counts.both);
    }
  }
  return out;
}

void MacroAccuracy::set_sums(const std::map<std::string, double>& sums) {
  reset();
  const auto take = [&](const std::string& key) { return static_cast<int64_t>(sums.at(key)); };
  for (const auto& [name, list] : {std::pair{"total", &totals_}, {"summed", &summed_}}) {
    for (size_t c = 0; c < list->size(); ++c) {
      const std::string key = std::string(name) + "." + std::to_string(c) + ".";
      (*list)[c] = {take(key + "items"), take(key + "answers"), take(key + "both")};
    }
  }
}

}  // namespace fathom::asr
