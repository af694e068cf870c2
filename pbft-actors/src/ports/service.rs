//! The service that is replicated.

