//! What the interface says of itself in its OpenAPI document is what it does: every answer that these tests get by a
//! [`Panel`](super::Panel) is held against the document of the running binary.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use cliproxy_testkit::Gateway;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{KEY, send};
use crate::support::{self, Answer};

/// The document of the binary that is tested, once it was read.
static CONTRACT: OnceLock<Contract> = OnceLock::new();

/// The document, with what was made of it so far.
pub(super) struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation<'d> {
    pub(super) path: &'d str,
    it: &'d Value,
}

impl Contract {
    pub(super) async fn of(gateway: &Gateway) -> &'static Self {
        if let Some(contract) = CONTRACT.get() {
            return contract;
        }
        let url = format!("{}/v0/management/openapi.json", gateway.url());
        let answer = send(support::client().get(url).header("authorization", KEY)).await;
        CONTRACT.get_or_init(|| Self { document: answer.json(), validators: Mutex::default() })
    }

    pub(super) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let wanted: Vec<&str> = path.split(['?', '#']).next().unwrap().split('/').collect();
        let fits = |known: &str| {
            let known: Vec<&str> = known.strip_prefix("/v0/management").unwrap().split('/').collect();
            known.len() == wanted.len()
                && known.iter().zip(&wanted).all(|(known, wanted)| known.starts_with('{') || known == wanted)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // A path without parameters is meant before one with them.
        let mut fitting: Vec<&String> = paths.keys().filter(|known| fits(known)).collect();
        fitting.sort_by_key(|known| known.matches('{').count());
        fitting.into_iter().find_map(|path| {
            let it = paths[path].get(method.to_ascii_lowercase())?;
            Some(Operation { path, it })
        })
    }

    /// What a reference leads to, or the value itself.
    fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Holds a value against a schema of the document.
    fn check(&self, name: &str, schema: &Value, value: &Value) {
        let validator = {
            let mut validators = self.validators.lock().unwrap();
            let validator = validators.entry(name.to_owned()).or_insert_with(|| {
                let whole = json!({
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "components": self.document["components"], "allOf": [schema],
                });
                Arc::new(jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{name}: {error}")))
            });
            Arc::clone(validator)
        };
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{error} at `{}`", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}\n{value:#}");
    }

    /// Holds an answer against the document.
    pub(super) fn holds(&self, method: &str, path: &str, answer: &Answer) {
        let Some(operation) = self.operation(method, path) else {
            assert!(
                [404, 405].contains(&answer.status),
                "{method} {path} is not documented: {}",
                answer.status
            );
            return;
        };
        let responses = &operation.it["responses"];
        let status = answer.status.to_string();
        let response = responses.get(&status).unwrap_or_else(|| &responses["default"]);
        assert!(
            answer.status >= 400 || responses.get(&status).is_some(),
            "{method} {path} answers {status}: {}",
            answer.body
        );
        if answer.body.is_empty() && answer.status == 404 {
            return;
        }
        let media = answer.header("content-type").split(';').next().unwrap().trim();
        let content = &self.resolved(response)["content"];
        let schema = content.get(media).map(|content| &content["schema"]);
        let schema =
            schema.unwrap_or_else(|| panic!("{method} {path} {status} answers {media:?}: {content}"));
        let value =
            if media == "application/json" { answer.json() } else { Value::from(answer.body.as_str()) };
        self.check(&format!("{method} {} {status} {media}", operation.path), schema, &value);
    }

    /// Holds a request that is served against the document.
    pub(super) fn takes(&self, method: &str, path: &str, body: &Value) {
        let operation = self.operation(method, path).unwrap_or_else(|| panic!("{method} {path}"));
        let known: Vec<&str> = operation.it["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap();
            assert!(known.contains(&name), "{method} {path}: {name} is not documented");
        }
        if body.is_null() {
            return;
        }
        let content = &operation.it["requestBody"]["content"];
        let media = if body.is_string() { "application/yaml" } else { "application/json" };
        let schema = content.get(media).map(|content| &content["schema"]);
        let schema = schema.unwrap_or_else(|| panic!("{method} {path}: no body of {media} is documented"));
        self.check(&format!("{method} {} reads {media}", operation.path), schema, body);
    }

    /// Method and path of every operation.
    pub(super) fn all(&self) -> BTreeSet<(String, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let path = path.strip_prefix("/v0/management").unwrap();
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.to_owned()))
        });
        operations.collect()
    }
}
