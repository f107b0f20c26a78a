#include "plugins/asr/decoding/transducer_search.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace fathom::asr {
namespace {

// One row of the joint network's output.
struct Best {
  int64_t token = 0;
  double log_prob = 0;
  int64_t duration = 0;  // frames
};

// Labels in one frame where no max_symbols is set: a model that never says blank would never end.
constexpr int64_t kMostSymbols = 1000;

class Search {
 public:
  Search(const RecurrentHandle& decoder, const JointHandle& joint, const at::Tensor& encoder_outputs,
         const at::Tensor& lengths, const TransducerSearchOptions& options)
      : decoder_(decoder),
        joint_(joint),
        options_(options),
        frames_(joint.project_encoder(encoder_outputs).contiguous()),
        paths_(static_cast<size_t>(encoder_outputs.size(0))),
        items_(paths_.size()) {
    const at::Tensor counts = lengths.to(at::kCPU, at::kLong).contiguous();
    for (size_t i = 0; i < items_.size(); ++i)
      items_[i].length = std::clamp<int64_t>(counts.const_data_ptr<int64_t>()[i], 0, frames_.size(1));
  }

  std::vector<TransducerPath> run() {
    std::vector<int64_t> active;  // items whose end is not reached; row i of state and prediction is that of active[i]
    for (size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].length > 0) active.push_back(static_cast<int64_t>(i));
    }
    Values state = decoder_.initial_state(static_cast<int64_t>(active.size()));
    std::vector<int64_t> labels(active.size(), options_.blank);
    while (!active.empty()) {
      auto stepped = decoder_.step({{"label", at::tensor(labels, at::kLong)}}, state);
      const at::Tensor prediction = joint_.project_prediction(stepped.outputs.tensor("outputs"));
      const std::vector<int64_t> rows = find_labels(active, prediction, labels);
      std::vector<int64_t> next;
      for (const int64_t row : rows) next.push_back(active[static_cast<size_t>(row)]);
      // Most steps nobody ends, and the state can stay as it is.
      state = rows.size() == active.size() ? std::move(stepped.state) : decoder_.select(stepped.state, rows);
      active = std::move(next);
    }
    return std::move(paths_);
  }

 private:
  struct Item {
    int64_t length = 0, frame = 0;
    int64_t symbols = 0;  // labels in this frame so far
  };

  // Moves every active item to its next label, or to its end. Gives the rows of those that go on, `labels` theirs.
  std::vector<int64_t> find_labels(const std::vector<int64_t>& active, const at::Tensor& prediction,
                                   std::vector<int64_t>& labels) {
    std::vector<int64_t> waiting(active.size()), found;
    for (size_t row = 0; row < active.size(); ++row) waiting[row] = static_cast<int64_t>(row);
    std::vector<int64_t> emitted(active.size(), -1);
    while (!waiting.empty()) {
      const std::vector<Best> best = best_of(active, waiting, prediction);
      std::vector<int64_t> still;
      for (size_t i = 0; i < waiting.size(); ++i) {
        const auto row = static_cast<size_t>(waiting[i]);
        const auto number = static_cast<size_t>(active[row]);
        Item& item = items_[number];
        if (const int64_t moved = blank_frames(best[i]); moved > 0) {
          move(item, moved);
          if (item.frame < item.length) still.push_back(waiting[i]);
          continue;
        }
        TransducerPath& path = paths_[number];
        path.tokens.push_back(best[i].token);
        path.frames.push_back(item.frame);
        path.score += best[i].log_prob;
        if (!options_.durations.empty()) path.durations.push_back(best[i].duration);
        if (best[i].duration > 0)
          move(item, best[i].duration);
        else if (++item.symbols == (options_.max_symbols > 0 ? options_.max_symbols : kMostSymbols))
          move(item, 1);
        emitted[row] = best[i].token;
      }
      waiting = std::move(still);
    }
    labels.clear();
    for (size_t row = 0; row < active.size(); ++row) {
      const Item& item = items_[static_cast<size_t>(active[row])];
      if (emitted[row] < 0 || item.frame >= item.length) continue;
      found.push_back(static_cast<int64_t>(row));
      labels.push_back(emitted[row]);
    }
    return found;
  }

  // How many frames a blank moves; 0 of a label.
  int64_t blank_frames(const Best& best) const {
    if (best.token == options_.blank) return std::max<int64_t>(best.duration, 1);
    const int64_t before = options_.blank - 1 - best.token;  // 0: the first big blank
    if (before >= static_cast<int64_t>(options_.big_blank_durations.size())) return 0;
    return options_.big_blank_durations[static_cast<size_t>(before)];
  }
  static void move(Item& item, int64_t frames) {
    item.frame += frames;
    item.symbols = 0;
  }

  std::vector<Best> best_of(const std::vector<int64_t>& active, const std::vector<int64_t>& waiting,
                            const at::Tensor& prediction) const {
    std::vector<int64_t> places;
    for (const int64_t row : waiting) {
      const int64_t number = active[static_cast<size_t>(row)];
      places.push_back(number * frames_.size(1) + items_[static_cast<size_t>(number)].frame);
    }
    const at::Tensor encoder = frames_.flatten(0, 1).index_select(0, at::tensor(places, at::kLong));
    const at::Tensor rows =
        waiting.size() == active.size() ? prediction : prediction.index_select(0, at::tensor(waiting, at::kLong));
    at::Tensor out = joint_.combine(encoder, rows).to(at::kFloat);
    const int64_t tokens = options_.blank + 1, expected = tokens + static_cast<int64_t>(options_.durations.size());
    if (out.size(1) != expected) {
      throw Error(Code::kFailed, "the joint network has another number of outputs than the search expects")
          .seen(std::to_string(out.size(1)))
          .expected(std::to_string(expected) + ": tokens, blank and durations");
    }
    if (options_.temperature != 1) out = out / options_.temperature;
    const at::Tensor log_probs = at::log_softmax(out.slice(1, 0, tokens), 1);
    const auto [values, classes] = log_probs.max(1);
    at::Tensor jumps;
    if (!options_.durations.empty()) jumps = out.slice(1, tokens).argmax(1);
    std::vector<Best> best(waiting.size());
    for (size_t i = 0; i < best.size(); ++i) {
      best[i].token = classes.const_data_ptr<int64_t>()[i];
      best[i].log_prob = static_cast<double>(values.const_data_ptr<float>()[i]);
      if (jumps.defined())
        best[i].duration = options_.durations[static_cast<size_t>(jumps.const_data_ptr<int64_t>()[i])];
    }
    return best;
  }

  const RecurrentHandle& decoder_;
  const JointHandle& joint_;
  const TransducerSearchOptions& options_;
  const at::Tensor frames_;  // (B, T, H), projected
  std::vector<TransducerPath> paths_;
  std::vector<Item> items_;
};

}  // namespace

std::vector<TransducerPath> greedy_search(const RecurrentHandle& decoder, const JointHandle& joint,
                                          const at::Tensor& encoder_outputs, const at::Tensor& lengths,
                                          const TransducerSearchOptions& options) {
  return Search(decoder, joint, encoder_outputs, lengths, options).run();
}

}  // namespace fathom::asr
