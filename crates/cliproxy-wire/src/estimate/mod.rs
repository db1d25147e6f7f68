//! The local token estimate, for upstreams that cannot count and for usage that an upstream leaves out.
