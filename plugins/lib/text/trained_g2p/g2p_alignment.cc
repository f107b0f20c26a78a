#include "plugins/lib/text/trained_g2p/g2p_alignment.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace fathom::text {
namespace {

struct Arc {
  uint32_t from, to, graphone;  // places: letters read * (phonemes + 1) + phonemes said
};

class Aligner {
 public:
  explicit Aligner(const std::vector<SpelledWord>& words) {
    for (const SpelledWord& word : words) lattices_.push_back(lattice(word));
    probability_.assign(graphones_.size(), 1.0 / static_cast<double>(std::max<size_t>(1, graphones_.size())));
  }

  // One round: expected counts under the present probabilities become the next ones.
  void improve() {
    std::vector<double> counts(graphones_.size());
    for (const Lattice& lattice : lattices_) {
      std::vector<double> forward(lattice.places), backward(lattice.places);
      forward.front() = backward.back() = 1;
      for (const Arc& arc : lattice.arcs) forward[arc.to] += forward[arc.from] * probability_[arc.graphone];
      if (!(forward.back() > 0)) continue;
      for (auto arc = lattice.arcs.rbegin(); arc != lattice.arcs.rend(); ++arc)
        backward[arc->from] += backward[arc->to] * probability_[arc->graphone];
      for (const Arc& arc : lattice.arcs) {
        counts[arc.graphone] += forward[arc.from] * probability_[arc.graphone] * backward[arc.to] / forward.back();
      }
    }
    double sum = 0;
    for (const double count : counts) sum += count;
    for (size_t i = 0; i < counts.size(); ++i) probability_[i] = sum > 0 ? counts[i] / sum : 0;
  }

  AlignedWords best() const {
    std::vector<std::vector<uint32_t>> paths;
    std::vector<bool> used(graphones_.size());
    for (const Lattice& lattice : lattices_) {
      paths.push_back(best_path(lattice));
      for (const uint32_t graphone : paths.back()) used[graphone] = true;
    }
    AlignedWords out;
    std::vector<uint32_t> numbers(graphones_.size());
    for (const auto& [graphone, number] : graphones_) {  // sorted
      if (!used[number]) continue;
      numbers[number] = static_cast<uint32_t>(out.graphones.size());
      out.graphones.push_back(graphone);
    }
    for (auto& path : paths) {
      for (uint32_t& graphone : path) graphone = numbers[graphone];
    }
    out.words = std::move(paths);
    return out;
  }

 private:
  struct Lattice {
    size_t places = 0;
    std::vector<Arc> arcs;  // in the order of the places they start from
  };

  Lattice lattice(const SpelledWord& word) {
    Lattice out;
    const size_t letters = word.letters.size(), phonemes = word.phonemes.size(), width = phonemes + 1;
    out.places = (letters + 1) * width;
    for (size_t i = 0; i < letters; ++i) {
      for (size_t j = 0; j <= phonemes; ++j) {
        for (size_t a = 1; a <= 2 && i + a <= letters; ++a) {
          const size_t most = a == 1 ? 2 : 1;
          for (size_t b = a - 1; b <= most && j + b <= phonemes; ++b) {
            Graphone graphone;
            graphone.letters.assign(word.letters.begin() + static_cast<std::ptrdiff_t>(i),
                                    word.letters.begin() + static_cast<std::ptrdiff_t>(i + a));
            graphone.phonemes.assign(word.phonemes.begin() + static_cast<std::ptrdiff_t>(j),
                                     word.phonemes.begin() + static_cast<std::ptrdiff_t>(j + b));
            const auto entry =
                graphones_.try_emplace(std::move(graphone), static_cast<uint32_t>(graphones_.size())).first;
            out.arcs.push_back(
                {static_cast<uint32_t>(i * width + j), static_cast<uint32_t>((i + a) * width + j + b), entry->second});
          }
        }
      }
    }
    return out;
  }

  std::vector<uint32_t> best_path(const Lattice& lattice) const {
    constexpr double kNever = -1e300;
    std::vector<double> score(lattice.places, kNever);
    std::vector<const Arc*> by(lattice.places);
    score.front() = 0;
    for (const Arc& arc : lattice.arcs) {
      if (!(probability_[arc.graphone] > 0) || score[arc.from] <= kNever) continue;
      const double reached = score[arc.from] + std::log(probability_[arc.graphone]);
      if (reached > score[arc.to]) {
        score[arc.to] = reached;
        by[arc.to] = &arc;
      }
    }
    std::vector<uint32_t> out;
    for (size_t place = lattice.places - 1; place != 0; place = by[place]->from) {
      if (by[place] == nullptr) return {};
      out.push_back(by[place]->graphone);
    }
    std::reverse(out.begin(), out.end());
    return out;
  }

  std::map<Graphone, uint32_t> graphones_;
  std::vector<Lattice> lattices_;
  std::vector<double> probability_;
};

}  // namespace

AlignedWords align_words(const std::vector<SpelledWord>& words, int rounds,
                         const std::function<void(int)>& after_round) {
  Aligner aligner(words);
  for (int round = 0; round < rounds; ++round) {
    aligner.improve();
    if (after_round) after_round(round);
  }
  return aligner.best();
}

}  // namespace fathom::text
