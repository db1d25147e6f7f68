//! The OpenAPI document of the interface, made of the same rows as its router.

use http::Method;
use serde_json::{Map, Value, json};

use super::answer::{Outcome, ok};
use super::{Ask, BASE, Endpoint, endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![endpoint(Method::GET, "/openapi.json", "This document", document)]
}

async fn document(ask: Ask) -> Outcome {
    Ok(ok(&written(&super::endpoints(), ask.app.version)))
}

fn written(endpoints: &[Endpoint], version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let path = format!("{BASE}{}", endpoint.path);
        let methods = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(methods) = methods {
            methods.insert(endpoint.method.as_str().to_ascii_lowercase(), operation(endpoint));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cliproxy management",
            "version": version,
            "description": "Configuration, accounts and logins of a gateway. Described in docs/MANAGEMENT.md.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"header": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Management-Key"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let id = format!("{} {}", endpoint.method, endpoint.path)
        .to_ascii_lowercase()
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    let parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .chain(endpoint.queries.iter().map(|(name, about)| {
            json!({"name": name, "in": "query", "description": about, "schema": {"type": "string"}})
        }))
        .collect();
    let error = json!({
        "description": "refused",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    });
    let mut operation = json!({
        "operationId": id,
        "summary": endpoint.about,
        "parameters": parameters,
        "responses": {"200": {"description": "done"}, "default": error},
    });
    if let (true, Value::Object(members)) = (endpoint.is_open, &mut operation) {
        members.insert("security".to_owned(), json!([]));
    }
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&endpoint.method);
    if let (true, Value::Object(members)) = (has_body, &mut operation) {
        members.insert(
            "requestBody".to_owned(),
            json!({
                "content": {"application/json": {"schema": endpoint.body.clone().unwrap_or_else(|| json!({}))}},
                "description": endpoint.about,
            }),
        );
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_once_and_says_what_it_does() {
        let endpoints = super::super::endpoints();
        let document = written(&endpoints, "1");
        let paths = document["paths"].as_object().unwrap();
        let n_operations: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
        assert_eq!(n_operations, endpoints.len(), "a method of a path is listed twice");
        let mut ids: Vec<&str> = Vec::new();
        for operation in paths.values().flat_map(|methods| methods.as_object().unwrap().values()) {
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            for parameter in operation["parameters"].as_array().unwrap() {
                assert!(["path", "query"].contains(&parameter["in"].as_str().unwrap()), "{parameter}");
            }
            ids.push(operation["operationId"].as_str().unwrap());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n_operations);
        let explain = &paths["/v0/management/explain"]["get"]["parameters"];
        assert_eq!((&explain[0]["name"], &explain[0]["in"]), (&json!("model"), &json!("query")));
        let debug = &paths["/v0/management/debug"]["put"]["requestBody"]["content"]["application/json"];
        assert_eq!(debug["schema"]["properties"]["value"], json!({"type": "boolean"}));
    }
}
