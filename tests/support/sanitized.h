// Whether a sanitizer keeps books of its own about memory and addresses: limits and figures of memory mean nothing
// then.
#pragma once

namespace fathom {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace fathom
