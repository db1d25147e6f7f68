//! Responses in both roles: requests read (27–32), requests written (125–140), answers for clients (163–181), the
//! oddities of upstream streams.

mod answer;
mod request;
pub(crate) mod upstream;
