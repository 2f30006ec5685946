//! brokers
