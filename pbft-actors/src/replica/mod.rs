//! A replica without a carrier.
