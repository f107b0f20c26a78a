#include "plugins/nlp/metrics/classification_report.h"

#include <ATen/ATen.h>

#include <cstdio>

#include "plugins/lib/option_range.h"

namespace fathom::nlp {
namespace {

constexpr double kEpsilon = 1e-8;  // NeMo's, so that a class without answers is 0 %

struct Scores {
  double precision = 0, recall = 0, f1 = 0;
};

Scores scores_of(double hits, double answers, double items) {
  Scores out;
  out.precision = 100 * hits / (answers + kEpsilon);
  out.recall = 100 * hits / (items + kEpsilon);
  out.f1 = 2 * out.precision * out.recall / (out.precision + out.recall + kEpsilon);
  return out;
}

std::string key_of(const char* what, size_t index) { return what + std::to_string(index); }

}  // namespace

void ClassificationReport::Options::describe(OptionSet<Options>& o) {
  o.required("num_classes", &Options::num_classes, "classes");
  o("label_ids", &Options::label_ids, "their names, for the table");
  o("mode", &Options::mode, "micro, macro or weighted");
}

ClassificationReport::ClassificationReport(const Options& options) : options_(options) {
  check_range("num_classes", options.num_classes, 1, 1 << 20);
  counts_.resize(static_cast<size_t>(options.num_classes));
  if (options_.mode != "micro" && options_.mode != "macro" && options_.mode != "weighted") {
    throw Error(Code::kFailed, "no such mean of classes")
        .at("mode")
        .seen(options_.mode)
        .expected("micro, macro or weighted");
  }
}

void ClassificationReport::update(const Values& values) {
  at::Tensor answers = values.tensor("preds").to(at::kCPU, at::kLong).reshape(-1),
             labels = values.tensor("labels").to(at::kCPU, at::kLong).reshape(-1);
  if (answers.numel() != labels.numel()) {
    throw Error(Code::kFailed, "a report needs an answer for each label")
        .seen(std::to_string(answers.numel()) + " answers")
        .expected(std::to_string(labels.numel()));
  }
  if (const at::Tensor mask = values.tensor_or_undefined("mask"); mask.defined()) {
    const at::Tensor kept = mask.to(at::kCPU).reshape(-1).ne(0);
    answers = answers.masked_select(kept);
    labels = labels.masked_select(kept);
  }
  answers = answers.contiguous();
  labels = labels.contiguous();
  const int64_t *answer = answers.const_data_ptr<int64_t>(), *label = labels.const_data_ptr<int64_t>();
  const auto known = [&](int64_t id) { return id >= 0 && id < options_.num_classes; };
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (known(answer[i])) ++counts_[static_cast<size_t>(answer[i])].answers;
    if (known(label[i])) ++counts_[static_cast<size_t>(label[i])].items;
    if (known(label[i]) && answer[i] == label[i]) ++counts_[static_cast<size_t>(label[i])].hits;
  }
}

std::vector<std::pair<std::string, double>> ClassificationReport::compute() const {
  Counts all;
  Scores macro, weighted;
  double seen = 0;
  for (const Counts& c : counts_) {
    all.hits += c.hits;
    all.answers += c.answers;
    all.items += c.items;
    if (c.items == 0) continue;
    ++seen;
    const Scores scores = scores_of(c.hits, c.answers, c.items);
    for (const auto member : {&Scores::precision, &Scores::recall, &Scores::f1}) {
      macro.*member += scores.*member;
      weighted.*member += scores.*member * c.items;
    }
  }
  Scores out;
  if (options_.mode == "micro") out = scores_of(all.hits, all.answers, all.items);
  for (const auto member : {&Scores::precision, &Scores::recall, &Scores::f1}) {
    if (options_.mode == "macro") out.*member = seen > 0 ? macro.*member / seen : 0;
    if (options_.mode == "weighted") out.*member = all.items > 0 ? weighted.*member / all.items : 0;
  }
  return {{"precision", out.precision}, {"recall", out.recall}, {"f1", out.f1}};
}

void ClassificationReport::reset() { counts_.assign(counts_.size(), {}); }

std::map<std::string, double> ClassificationReport::sums() const {
  std::map<std::string, double> out;
  for (size_t i = 0; i < counts_.size(); ++i) {
    out[key_of("hits", i)] = counts_[i].hits;
    out[key_of("answers", i)] = counts_[i].answers;
    out[key_of("items", i)] = counts_[i].items;
  }
  return out;
}

void ClassificationReport::set_sums(const std::map<std::string, double>& sums) {
  for (size_t i = 0; i < counts_.size(); ++i) {
    counts_[i] = {sums.at(key_of("hits", i)), sums.at(key_of("answers", i)), sums.at(key_of("items", i))};
  }
}

std::string report_text(const std::map<std::string, double>& sums, const std::vector<std::string>& names) {
  std::string out;
  const auto row = [&](const std::string& name, const Scores& scores, double items) {
    char line[160];
    std::snprintf(line, sizeof(line), "%-40s %9.2f %9.2f %9.2f %9.0f\n", name.substr(0, 40).c_str(), scores.precision,
                  scores.recall, scores.f1, items);
    out += line;
  };
  out += "label                                    precision    recall        f1   support\n";
  Scores macro, weighted;
  double hits = 0, answers = 0, items = 0, seen = 0;
  const size_t classes = sums.size() / 3;
  for (size_t i = 0; i < classes; ++i) {
    const double h = sums.at(key_of("hits", i)), a = sums.at(key_of("answers", i)), n = sums.at(key_of("items", i));
    const Scores scores = scores_of(h, a, n);
    row(i < names.size() ? names[i] : "label_id: " + std::to_string(i), scores, n);
    hits += h;
    answers += a;
    items += n;
    if (n == 0) continue;
    ++seen;
    for (const auto member : {&Scores::precision, &Scores::recall, &Scores::f1}) {
      macro.*member += scores.*member;
      weighted.*member += scores.*member * n;
    }
  }
  for (const auto member : {&Scores::precision, &Scores::recall, &Scores::f1}) {
    if (seen > 0) macro.*member /= seen;
    if (items > 0) weighted.*member /= items;
  }
  row("micro avg", scores_of(hits, answers, items), items);
  row("macro avg", macro, items);
  row("weighted avg", weighted, items);
  return out;
}

}  // namespace fathom::nlp
