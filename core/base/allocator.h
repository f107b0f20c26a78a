// How the process's allocator treats memory that is given back.
#pragma once

namespace fathom {

// Activations of a few megabytes come and go each step. By default glibc maps and unmaps each of them, and the page
// faults cost a third of a convolution's time; kept in the heap they cost nothing. For the whole process, for good.
void keep_freed_memory();

}  // namespace fathom
