// One native build's table: compiled once a variant, with QK_NAMESPACE being that of the kernels'
// sources.
#pragma push_macro("QK_NAMESPACE")
#undef QK_NAMESPACE // the table's types are those of the functions with C linkage
#include "codegen/cpu/microkernels/Native.h"
#pragma pop_macro("QK_NAMESPACE")

namespace QK_NAMESPACE {
#define QK_DECLARE(RESULT, NAME, PARAMETERS) decltype(::NAME) NAME;
QK_FOR_EACH_KERNEL(QK_DECLARE)
#undef QK_DECLARE

extern const quern::native::Kernels kKernels;
const quern::native::Kernels kKernels = {
#define QK_POINTER(RESULT, NAME, PARAMETERS) &QK_NAMESPACE::NAME,
    QK_FOR_EACH_KERNEL(QK_POINTER)
#undef QK_POINTER
};
} // namespace QK_NAMESPACE
