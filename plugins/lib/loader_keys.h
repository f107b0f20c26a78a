// Keys of a model's data sections that speak to the loader, whichever dataset the section is for. Uses no torch.
#pragma once

#include <array>
#include <string_view>

namespace fathom {

inline constexpr auto kLoaderKeys = std::to_array<std::string_view>(
    {"batch_size", "shuffle", "num_workers", "pin_memory", "drop_last", "prefetch_factor", "persistent_workers", "name",
     "_target_", "cls", "ds_item", "use_bucketing", "num_buckets", "max_seconds", "max_tokens", "on_too_long",
     "on_error"});

}  // namespace fathom
