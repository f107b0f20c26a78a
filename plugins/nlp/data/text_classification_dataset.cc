#include "plugins/nlp/data/text_classification_dataset.h"

#include <ATen/ATen.h>

#include <charconv>

#include "fathom/log_level.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/pronunciation_dictionary.h"
#include "plugins/lib/text/words.h"
#include "plugins/nlp/data/text_section.h"

namespace fathom::nlp {
namespace {

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

void TextClassificationDataset::Options::describe(OptionSet<Options>& o) {
  o("file_path", &Options::file_path, "lines of words and, last, the number of the class; null: no such data");
  o("num_samples", &Options::num_samples, "only so many lines, from the first on; -1: all");
}

TextClassificationDataset::TextClassificationDataset(const Options& options, TextClassificationRules rules)
    : rules_(std::move(rules)) {
  const std::string& path = *options.file_path;
  const std::vector<std::string> lines = text::read_lines(path, text::FileEncoding::kUtf8);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (options.num_samples >= 0 && size() >= options.num_samples) break;
    std::vector<std::string> words = text::split_words(lines[i]);
    const auto bad = [&](const char* what, const std::string& expected) {
      return Error(Code::kBadData, what)
          .at(path + ":" + std::to_string(i + 1))
          .seen(lines[i].size() > 80 ? lines[i].substr(0, 80) + "…" : lines[i])
          .expected(expected);
    };
    const auto label = words.empty() ? std::nullopt : whole_number(words.back());
    if (!label && i == 0 && !words.empty()) continue;
    if (!label) throw bad("a line does not end with the number of its class", "words, white space, a number");
    if (*label < 0 || *label >= rules_.classes)
      throw bad("a line's class is none of the model's", "0 to " + std::to_string(rules_.classes - 1));
    words.pop_back();
    if (words.empty()) throw bad("a line has no words", "words, white space, a number");
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    texts_.push_back(encoded(text));
    texts_.back().label = *label;
  }
  if (texts_.empty()) throw Error(Code::kBadData, "the file has no texts").at(path);
  tell_left_out(path);
}

std::shared_ptr<TextClassificationDataset> TextClassificationDataset::for_inference(const std::vector<Json>& lines,
                                                                                    TextClassificationRules rules) {
  std::shared_ptr<TextClassificationDataset> out(new TextClassificationDataset(std::move(rules)));
  out->inference_ = true;
  for (const Json& line : lines) {
    out->texts_.push_back(out->encoded(line["text"].get<std::string>()));
    out->texts_.back().entry = json_text(line);
  }
  return out;
}

// Word by word, as NeMo does: with WordPiece it is the same as the text in one.
ClassifiedText TextClassificationDataset::encoded(std::string_view text) const {
  ClassifiedText out;
  const std::string small = rules_.do_lower_case ? text::lower_case(text) : std::string();
  out.ids = rules_.tokenizer->text_to_ids(rules_.do_lower_case ? std::string_view(small) : text);
  const auto room = static_cast<size_t>(std::max<int64_t>(rules_.longest - 2, 0));
  if (out.ids.size() > room) {
    out.left_out = static_cast<int64_t>(out.ids.size() - room);
    out.ids.resize(room);
  }
  const text::SpecialIds special = rules_.tokenizer->special_ids();
  out.ids.insert(out.ids.begin(), special.bos);
  out.ids.push_back(special.eos);
  return out;
}

void TextClassificationDataset::tell_left_out(const std::string& where) const {
  int64_t texts = 0, pieces = 0;
  for (const ClassifiedText& text : texts_) {
    texts += text.left_out > 0 ? 1 : 0;
    pieces += text.left_out;
  }
  if (texts == 0) return;
  log(LogLevel::kWarning, "nlp",
      where + ": the ends of " + std::to_string(texts) + " texts are left out (" + std::to_string(pieces) +
          " pieces), which are longer than " + std::to_string(rules_.longest) + " (dataset.max_seq_length)");
}

double TextClassificationDataset::length(int64_t index, std::string_view) const {
  return static_cast<double>(texts_[static_cast<size_t>(index)].ids.size());
}

Ports TextClassificationDataset::outputs() const {
  return {{"input_ids", {"B T", ChannelType{}}},
          {"segment_ids", {"B T", ChannelType{}}},
          {"input_mask", {"B T", MaskType{}}},
          {"labels", {"B", LabelsType{}}, /*is_optional=*/true}};
}

ClassifiedText TextClassificationDataset::get(int64_t index, uint64_t) const {
  return texts_[static_cast<size_t>(index)];
}

Values TextClassificationDataset::collate(const std::vector<const ClassifiedText*>& samples) const {
  const auto count = static_cast<int64_t>(samples.size());
  size_t longest = 0;
  for (const auto* sample : samples) longest = std::max(longest, sample->ids.size());
  const int64_t pad = rules_.tokenizer->special_ids().pad;
  const at::Tensor ids = at::full({count, static_cast<int64_t>(longest)}, pad, at::kLong);
  const at::Tensor mask = at::zeros_like(ids), labels = at::empty({count}, at::kLong);
  std::vector<Value> entries;
  for (int64_t i = 0; i < count; ++i) {
    const ClassifiedText& sample = *samples[static_cast<size_t>(i)];
    const auto length = static_cast<int64_t>(sample.ids.size());
    ids[i].narrow(0, 0, length).copy_(at::tensor(sample.ids, at::kLong));
    mask[i].narrow(0, 0, length).fill_(1);
    labels[i] = sample.label;
    if (!inference_) continue;
    Json entry = parse_text(sample.entry);
    entry["left_out"] = sample.left_out;
    entries.emplace_back(json_text(entry));
  }
  Values out = {{"input_ids", ids}, {"segment_ids", at::zeros_like(ids)}, {"input_mask", mask}};
  if (inference_)
    out.add("entries", std::move(entries));
  else
    out.add("labels", labels);
  return out;
}

std::vector<int64_t> TextClassificationDataset::occurrences() const {
  std::vector<int64_t> out(static_cast<size_t>(rules_.classes), 0);
  for (const ClassifiedText& text : texts_) ++out[static_cast<size_t>(text.label)];
  return out;
}

}  // namespace fathom::nlp
