//! The Chat codec: requests of clients and towards upstreams, answers as bodies and as streams.

mod corpus;
