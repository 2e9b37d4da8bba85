// The fields of the structs at the boundary as this bitcode has them. The compiler, which fills
// them, compares (codegen/cpu/MicrokernelTable.h).
#include "codegen/cpu/microkernels/Microkernels.h"

QK_BEGIN
#define QK_LAYOUT(NAME, FIELDS)                                                                    \
  extern const char qk_fields_##NAME[];                                                            \
  const char qk_fields_##NAME[] = FIELDS(QK_FIELD_TEXT);
QK_FOR_EACH_STRUCT(QK_LAYOUT)
QK_END
