//! Images made to order: OpenAI's images interface, and Google's Imagen.
//!
//! A request of the images interface becomes a conversation of one turn that asks for images, and the images of its
//! answer become an answer of the interface, so that models which draw in conversations serve it. Imagen is the other
//! way round: it knows prompts alone, and what it gives becomes an answer of the Gemini format. Services that make images
//! to order in another form than OpenAI's get theirs ([`order`]).

mod answer;
pub mod imagen;
pub mod order;
mod request;

pub use answer::encode_response;
pub use request::{Source, Wish, decode_edit, decode_form, decode_generation};

#[cfg(test)]
mod tests;
