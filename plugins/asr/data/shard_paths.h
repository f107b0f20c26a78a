// The tar files of a data set, as NeMo's configs name them: audio__OP_0..511_CL_.tar. Uses no torch.
#pragma once

#include <string>
#include <vector>

#include "fathom/support.h"

namespace fathom::asr {

// Which of the processes of a run this one is.
struct Rank {
  int64_t rank = 0, world = 1;
};

// Braces become what they stand for: {0..511}, {000..511} with leading zeros, {0..9..2}, {a,b}, one in another. NeMo's
// other spellings of them open by ( [ < _OP_ and close by ) ] > _CL_. Errors (kFailed) name `where` and the place in
// the pattern: braces that do not pair, that name nothing, or ranges that are none or too long.
std::vector<std::string> expand_braces(const std::string& pattern, const std::string& where);
// The same of a config's value: a pattern, or a list of patterns; commas separate as in manifest_filepath.
std::vector<std::string> shard_paths(const Json& value, const std::string& where);

// The part of a rank. scatter: as many neighbouring ones for each, and those that are left over for none, which is
// logged; replicate: all. Errors (kFailed) name `where`: another strategy; fewer shards than ranks.
std::vector<std::string> shards_of_rank(std::vector<std::string> shards, const std::string& strategy, const Rank& rank,
                                        const std::string& where);

}  // namespace fathom::asr
