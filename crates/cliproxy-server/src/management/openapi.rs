//! The OpenAPI document of the interface, made of the same rows as its router when it is asked for.

use http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answer::{JSON, Json, Outcome, Refused};
use super::route::Kind;
use super::{Ask, BASE, Endpoint, endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let shape = |_: &mut SchemaGenerator| schemars::json_schema!({"type": "object", "required": ["openapi", "info", "paths", "components"]});
    vec![endpoint(Method::GET, "/openapi.json", "This document", document).gives(shape)]
}

async fn document(ask: Ask) -> Outcome<Json<Value>> {
    Ok(Json(written(&super::endpoints(), ask.app.version)))
}

/// Makes the schemas of one direction: a member that may be left out of a body may still be in every answer.
fn generator(is_answer: bool) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    if is_answer { settings.for_serialize().into() } else { settings.for_deserialize().into() }
}

fn written(endpoints: &[Endpoint], version: &str) -> Value {
    let (mut read, mut given) = (generator(false), generator(true));
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let path = format!("{BASE}{}", endpoint.path);
        let methods = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(methods) = methods {
            let operation = operation(endpoint, &mut read, &mut given);
            methods.insert(endpoint.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let refused = given.subschema_for::<Refused>();
    let refusal =
        |description: &str| json!({"description": description, "content": {JSON: {"schema": refused}}});
    let responses = json!({
        "Refused": refusal("The request is not served"),
        "Unauthorized": refusal("The management key is missing or wrong"),
        "Forbidden": refusal("This address may not come in"),
        "Missing": refusal("There is no such thing; with an empty body, no management interface"),
        "Conflict": refusal("`If-Match` names another version of the configuration file, or the state does not allow it"),
        "TooLarge": refusal("The body is too large"),
        "Invalid": refusal("The configuration would not be valid; nothing was changed"),
    });
    let mut schemas = read.take_definitions(true);
    schemas.extend(given.take_definitions(true));
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
            "parameters": {
                "Expected": {
                    "name": "If-Match", "in": "header",
                    "description": "The `ETag` of the configuration file that this change is based on",
                    "schema": {"type": "string"},
                },
            },
            "responses": responses,
            "schemas": schemas,
        },
    })
}

fn operation(endpoint: &Endpoint, read: &mut SchemaGenerator, given: &mut SchemaGenerator) -> Value {
    let id = format!("{} {}", endpoint.method, endpoint.path)
        .to_ascii_lowercase()
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), id.into());
    operation.insert("summary".to_owned(), endpoint.about.into());
    operation.insert("parameters".to_owned(), parameters(endpoint).into());
    if endpoint.is_open {
        operation.insert("security".to_owned(), json!([]));
    }
    if !endpoint.bodies.is_empty() {
        let content: Map<String, Value> = endpoint
            .bodies
            .iter()
            .map(|(media, shape)| ((*media).to_owned(), json!({"schema": shape(read)})))
            .collect();
        operation.insert("requestBody".to_owned(), json!({"content": content}));
    }
    operation.insert("responses".to_owned(), responses(endpoint, given).into());
    operation.into()
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = endpoint.queries.iter().map(|query| {
        let schema = match query.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Number => json!({"type": "integer", "minimum": 0}),
            Kind::Word(words) => json!({"enum": words}),
        };
        json!({
            "name": query.name, "in": "query", "description": query.about, "required": query.is_required,
            "schema": schema,
        })
    });
    let expected = endpoint.is_edit.then(|| json!({"$ref": "#/components/parameters/Expected"}));
    in_path.chain(in_query).chain(expected).collect()
}

fn responses(endpoint: &Endpoint, given: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses: Map<String, Value> = Map::new();
    for answer in (endpoint.answers)(given) {
        let response = responses
            .entry(answer.status.to_string())
            .or_insert_with(|| json!({"description": "done", "content": {}}));
        if let Some(Value::Object(content)) = response.get_mut("content") {
            content.insert(answer.media.to_owned(), json!({"schema": answer.schema}));
        }
    }
    let mut refer = |status: &str, name: &str| {
        responses.insert(status.to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    };
    refer("400", "Refused");
    if !endpoint.is_open {
        refer("401", "Unauthorized");
        refer("403", "Forbidden");
    }
    refer("404", "Missing");
    if endpoint.method != Method::GET {
        refer("409", "Conflict");
        refer("413", "TooLarge");
    }
    if endpoint.is_validated {
        refer("422", "Invalid");
    }
    refer("default", "Refused");
    responses
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
            let successes = operation["responses"].as_object().unwrap();
            let answers: Vec<_> = successes.iter().filter(|(status, _)| status.starts_with('2')).collect();
            assert!(!answers.is_empty(), "{operation}");
            for (_, answer) in answers {
                for content in answer["content"].as_object().unwrap().values() {
                    assert!(
                        content["schema"].as_object().is_some_and(|schema| !schema.is_empty()),
                        "{operation}"
                    );
                }
            }
            ids.push(operation["operationId"].as_str().unwrap());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n_operations);
        let debug = &paths["/v0/management/debug"]["put"]["requestBody"]["content"]["application/json"];
        assert_eq!(debug["schema"]["properties"]["value"]["type"], "boolean");
        let models = &document["components"]["schemas"]["config.KeyEntry"]["properties"]["models"];
        assert_eq!(models["items"], json!({"$ref": "#/components/schemas/config.Model"}));
    }

    #[test]
    fn a_name_of_a_schema_means_one_thing() {
        let (mut read, mut given) = (generator(false), generator(true));
        for endpoint in super::super::endpoints() {
            operation(&endpoint, &mut read, &mut given);
        }
        let (read, given) = (read.take_definitions(true), given.take_definitions(true));
        assert!(given.contains_key("AuthFile"), "{:?}", given.keys());
        for (name, schema) in &given {
            let is_numbered = name.ends_with(|character: char| character.is_ascii_digit());
            assert!(!is_numbered, "two types are called {name}");
            assert!(read.get(name).is_none_or(|other| other == schema), "{name} is read and given");
        }
    }
}
