// The functions that Python calls, for each type of number.

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "matrix_units.h"
#include "passes.h"
#include "products.h"

extern "C" {
LGN_HF_EXPORT(float, lgn_hf::Layer<float>)
LGN_HF_EXPORT(double, lgn_hf::Layer<double>)

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)
LGN_HF_EXPORT(mixed, lgn_hf::MixedLayer)
// Asks the system, which saves their state only for processes that do, for the matrix units.
int64_t has_mixed() { return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0; }
#else
int64_t has_mixed() { return 0; }
#endif
}
