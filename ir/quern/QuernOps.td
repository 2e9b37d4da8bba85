// Every op of the dialect, by family.
include "ir/quern/WeightOps.td"
include "ir/quern/StateOps.td"
include "ir/quern/MatmulOps.td"
include "ir/quern/NormOps.td"
include "ir/quern/AttentionOps.td"
include "ir/quern/ScanOps.td"
include "ir/quern/TensorOps.td"
include "ir/quern/RegionOps.td"
