//! What is to be embedded.

use crate::Error;
use crate::json::{self, Kind, Reader};

/// A request, whatever language it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The texts.
    pub inputs: Vec<String>,
    /// Length of the vectors.
    pub dimensions: Option<u64>,
    /// What the vectors are for (`RETRIEVAL_QUERY` …); Google's services alone know it.
    pub task: Option<String>,
    /// Title of the document (Google).
    pub title: Option<String>,
    /// The client wants vectors as base64 of little-endian floats.
    pub is_packed: bool,
}

impl Request {
    /// Reads OpenAI's request.
    ///
    /// # Errors
    /// What is no such request, with its JSON path; token numbers, which only their own model understands.
    pub fn of_openai(body: &[u8]) -> Result<Self, Error> {
        let mut request = Self::default();
        let mut has_input = false;
        let mut reader = Reader::from_bytes(body)?;
        reader.object(|name, value| {
            match name {
                "input" => {
                    has_input = true;
                    request.inputs = texts(value)?;
                }
                "dimensions" => request.dimensions = value.opt(Reader::u64)?,
                "encoding_format" => {
                    request.is_packed = match value.opt(Reader::string)?.as_deref() {
                        None | Some("float") => false,
                        Some("base64") => true,
                        Some(_) => return Err(Error::invalid("", "expected float or base64")),
                    };
                }
                _ => {}
            }
            Ok(())
        })?;
        reader.finish()?;
        if !has_input {
            return Err(Error::missing("input"));
        }
        request.checked("input")
    }

    /// Reads Gemini's `embedContent`.
    ///
    /// # Errors
    /// What is no such request, with its JSON path; content that is not text.
    pub fn of_gemini(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::from_bytes(body)?;
        let request = one(&mut reader)?;
        reader.finish()?;
        request.checked("content")
    }

    /// Reads Gemini's `batchEmbedContents`.
    ///
    /// # Errors
    /// As for one; requests that differ in more than their texts.
    pub fn of_gemini_batch(body: &[u8]) -> Result<Self, Error> {
        let mut whole: Option<Self> = None;
        let mut reader = Reader::from_bytes(body)?;
        reader.object(|name, value| {
            if name != "requests" {
                return Ok(());
            }
            value.array(|_, value| {
                let mut request = one(value)?;
                let Some(whole) = &mut whole else {
                    whole = Some(request);
                    return Ok(());
                };
                whole.inputs.append(&mut request.inputs);
                let is_alike = (whole.dimensions, &whole.task) == (request.dimensions, &request.task);
                if !is_alike {
                    return Err(Error::unsupported(
                        "",
                        "requests of one batch must want the same; send another batch",
                    ));
                }
                // A title is of one document.
                whole.title = None;
                Ok(())
            })
        })?;
        reader.finish()?;
        whole.ok_or_else(|| Error::missing("requests"))?.checked("requests")
    }

    fn checked(self, path: &str) -> Result<Self, Error> {
        if self.inputs.is_empty() {
            return Err(Error::invalid(path, "there is no text to embed"));
        }
        Ok(self)
    }

    /// The request for an OpenAI-compatible service.
    pub fn to_openai(&self, model: &str) -> Vec<u8> {
        let mut body = Vec::new();
        json::object(&mut body, |object| {
            object.str("model", model);
            object.array("input", |list| self.inputs.iter().for_each(|text| list.str(text)));
            object.opt_u64("dimensions", self.dimensions);
            object.str("encoding_format", if self.is_packed { "base64" } else { "float" });
        });
        body
    }

    /// The request for Gemini's `batchEmbedContents`.
    pub fn to_gemini(&self, model: &str) -> Vec<u8> {
        let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
        let mut body = Vec::new();
        json::object(&mut body, |object| {
            object.array("requests", |list| {
                for text in &self.inputs {
                    list.object(|request| {
                        request.str("model", &model);
                        request.object("content", |content| {
                            content.array("parts", |parts| parts.object(|part| part.str("text", text)));
                        });
                        request.opt_str("taskType", self.task.as_ref());
                        request.opt_str("title", self.title.as_ref());
                        request.opt_u64("outputDimensionality", self.dimensions);
                    });
                }
            });
        });
        body
    }

    /// The requests for Vertex AI's `predict`: one for all texts, or one for each where the model takes no more.
    pub fn to_vertex(&self, model: &str) -> Vec<Vec<u8>> {
        // Source: Vertex AI's reference of text embeddings, "gemini-embedding-001 supports one input per request".
        if model.to_ascii_lowercase().contains("gemini-embedding") {
            return self.inputs.chunks(1).map(|text| self.predict(text)).collect();
        }
        vec![self.predict(&self.inputs)]
    }

    fn predict(&self, texts: &[String]) -> Vec<u8> {
        let mut body = Vec::new();
        json::object(&mut body, |object| {
            object.array("instances", |list| {
                for text in texts {
                    list.object(|instance| {
                        instance.str("content", text);
                        instance.opt_str("task_type", self.task.as_ref());
                        instance.opt_str("title", self.title.as_ref());
                    });
                }
            });
            if let Some(length) = self.dimensions {
                object.object("parameters", |parameters| parameters.u64("outputDimensionality", length));
            }
        });
        body
    }
}

/// One text or several.
fn texts(value: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    const TOKENS: &str = "numbers of tokens mean something to their own model alone; send the text";
    match value.kind() {
        Kind::String => Ok(vec![value.string()?]),
        Kind::Array => {
            let mut texts = Vec::new();
            value.array(|_, value| {
                if matches!(value.kind(), Kind::Number | Kind::Array) {
                    return Err(Error::unsupported("", TOKENS));
                }
                texts.push(value.string()?);
                Ok(())
            })?;
            Ok(texts)
        }
        kind => Err(Error::malformed(format!("expected a string or an array, found {}", kind.noun()))),
    }
}

/// One of Gemini's requests, in either spelling.
fn one(reader: &mut Reader<'_>) -> Result<Request, Error> {
    let mut request = Request::default();
    let mut text = None;
    reader.object(|name, value| {
        match name {
            "content" => text = Some(content(value)?),
            "taskType" | "task_type" => request.task = value.opt(Reader::string)?,
            "title" => request.title = value.opt(Reader::string)?,
            "outputDimensionality" | "output_dimensionality" => {
                request.dimensions = value.opt(Reader::u64)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    request.inputs.push(text.ok_or_else(|| Error::malformed("required, as an object").under_key("content"))?);
    Ok(request)
}

/// The text of a content.
fn content(value: &mut Reader<'_>) -> Result<String, Error> {
    let mut text = String::new();
    let mut part = |value: &mut Reader<'_>| {
        value.object(|name, value| match name {
            "text" => {
                text.push_str(&value.str()?);
                Ok(())
            }
            _ => Err(Error::unsupported("", "only text is embedded for this model; leave this part out")),
        })
    };
    value.object(|name, value| match (name, value.kind()) {
        ("parts", Kind::Array) => value.array(|_, value| part(value)),
        ("parts", _) => part(value),
        _ => Ok(()),
    })?;
    Ok(text)
}
