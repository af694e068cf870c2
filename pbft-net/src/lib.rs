//! TCP transport for `pbft-actors`.
