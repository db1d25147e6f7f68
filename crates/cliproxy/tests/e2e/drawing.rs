//! Images: OpenAI's images interface, Gemini's image models in conversations, and Imagen.

use cliproxy_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support;

/// "AA" and "BB".
const IMAGES: [&str; 2] = ["QUE=", "QkI="];
const MODELS: &str =
    "models: [{name: gemini-image-up, alias: draw}, {name: imagen-up, alias: imagen}, {name: up, alias: up}]";

fn gateway(format: &str, upstream: &Upstream, config: &str) -> Gateway {
    let entry = support::entry(format, "upstream-key-0001", &upstream.url(), MODELS);
    support::start(&format!("request-retry: 0\n{}{config}", support::list(format, &[entry])), &[])
}

/// A service of Google's: conversations with images in them, and predictions.
fn google(received: &Received) -> Script {
    let body = received.json();
    if received.path.ends_with(":predict") {
        let count = body["parameters"]["sampleCount"].as_u64().unwrap_or(1);
        let images = IMAGES.iter().take(usize::try_from(count).unwrap());
        let drawn: Vec<Value> =
            images.map(|data| json!({"bytesBase64Encoded": data, "mimeType": "image/png"})).collect();
        return Script::json(200, json!({"predictions": drawn}).to_string());
    }
    let answer = |parts: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, "modelVersion": "up"})
    };
    let whole =
        answer(json!([{"text": "here"}, {"inlineData": {"mimeType": "image/png", "data": IMAGES[0]}}]));
    if support::asks_stream(received) {
        return Script::events(vec![format!("data: {whole}\n\n").into()]).in_pieces(7);
    }
    Script::json(200, whole.to_string())
}

/// An OpenAI-compatible service.
fn openai(received: &Received) -> Script {
    if String::from_utf8_lossy(&received.body).contains("stream") {
        let event = |kind: &str, usage: Value| {
            let data =
                json!({"type": format!("image_generation.{kind}"), "b64_json": IMAGES[0], "usage": usage});
            format!("event: image_generation.{kind}\ndata: {data}\n\n")
        };
        let usage = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
        let stream = [event("partial_image", Value::Null), event("completed", usage)].concat();
        return Script::events(vec![stream.into()]).in_pieces(11);
    }
    let answer = "{\"created\" : 1, \"data\":[{\"b64_json\":\"QUE=\"}],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7},\"x\":1.0}";
    Script::json(200, answer)
}

fn order(model: &str) -> Value {
    json!({"model": model, "prompt": "a heron", "size": "1536x1024"})
}

#[tokio::test(flavor = "multi_thread")]
async fn image_models_of_google_serve_the_images_interface() {
    for format in ["gemini", "vertex"] {
        let upstream = Upstream::start(google).await;
        let gateway = gateway(format, &upstream, "");
        let answer = support::ask(&gateway, "/v1/images/generations", &order("draw")).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.body);
        let body = answer.json();
        assert_eq!(body["data"], json!([{"b64_json": IMAGES[0]}]), "{format}");
        assert_eq!((&body["output_format"], &body["usage"]["total_tokens"]), (&json!("png"), &json!(15)));
        assert!(body["created"].as_u64().unwrap() > 0);
        let sent = upstream.received().remove(0);
        assert!(sent.path.ends_with("models/gemini-image-up:generateContent"), "{}", sent.path);
        let sent = sent.json();
        assert_eq!(sent["contents"][0]["parts"], json!([{"text": "a heron"}]), "{sent}");
        let config = &sent["generationConfig"];
        assert_eq!(config["responseModalities"], json!(["TEXT", "IMAGE"]), "{sent}");
        assert_eq!(config["imageConfig"]["aspectRatio"], "3:2", "{sent}");
        let mut wish = order("draw");
        wish["response_format"] = json!("url");
        let answer = support::ask(&gateway, "/v1/images/generations", &wish).await.json();
        assert_eq!(answer["data"][0]["url"], format!("data:image/png;base64,{}", IMAGES[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_an_image_that_comes_whole_is_one_event() {
    let upstream = Upstream::start(google).await;
    let gateway = gateway("gemini", &upstream, "");
    let mut wish = order("draw");
    wish["stream"] = json!(true);
    let answer = support::ask(&gateway, "/v1/images/generations", &wish).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"), "{:?}", answer.headers);
    let data = answer.body.strip_prefix("event: image_generation.completed\ndata: ").unwrap();
    let event: Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!(
        (&event["type"], &event["b64_json"]),
        (&json!("image_generation.completed"), &json!(IMAGES[0]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn imagen_draws_for_every_client() {
    for format in ["gemini", "vertex"] {
        let upstream = Upstream::start(google).await;
        let gateway = gateway(format, &upstream, "");
        let mut wish = order("imagen");
        wish["n"] = json!(2);
        let answer = support::ask(&gateway, "/v1/images/generations", &wish).await;
        assert_eq!(
            answer.json()["data"],
            json!([{"b64_json": IMAGES[0]}, {"b64_json": IMAGES[1]}]),
            "{}",
            answer.body
        );
        let sent = upstream.received().remove(0);
        assert!(sent.path.ends_with("models/imagen-up:predict"), "{}", sent.path);
        let expected = json!({"instances": [{"prompt": "a heron"}], "parameters": {"sampleCount": 2, "aspectRatio": "4:3"}});
        assert_eq!(sent.json(), expected);
        for is_stream in [false, true] {
            let answer = support::ask_model(&gateway, "gemini", "imagen", is_stream).await;
            assert!(
                answer.body.contains(&format!("\"data\":\"{}\"", IMAGES[0])),
                "{format}: {}",
                answer.body
            );
            assert!(answer.body.contains("\"finishReason\":\"STOP\""), "{format}: {}", answer.body);
            let answer = support::ask_model(&gateway, "chat", "imagen", is_stream).await;
            assert_eq!(answer.status, 200, "{format}: {}", answer.body);
            assert!(
                answer.body.contains(&format!("data:image/png;base64,{}", IMAGES[0])),
                "{format}: {}",
                answer.body
            );
            assert!(!is_stream || support::is_complete("chat", &answer.body), "{format}: {}", answer.body);
        }
        // The client's own prediction passes.
        let body = json!({"instances": [{"prompt": "hi"}], "parameters": {"sampleCount": 1}, "x": 1.0});
        let answer = support::ask(&gateway, "/v1beta/models/imagen:predict", &body).await;
        assert_eq!(answer.json()["predictions"][0]["bytesBase64Encoded"], IMAGES[0]);
        assert_eq!(upstream.received().pop().unwrap().json(), body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_a_model_draws_in_a_conversation_reach_chat() {
    let upstream = Upstream::start(google).await;
    let gateway = gateway("gemini", &upstream, "");
    let image = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", IMAGES[0])}, "index": 0});
    let whole = support::ask_model(&gateway, "chat", "draw", false).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!((&message["content"], &message["images"]), (&json!("here"), &json!([image])), "{whole}");
    let stream = support::ask_model(&gateway, "chat", "draw", true).await;
    let deltas: Vec<Value> = stream
        .body
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"].get("images").cloned())
        .collect();
    assert_eq!(deltas, [json!([image])], "{}", stream.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_changed_from_json_and_from_forms() {
    let upstream = Upstream::start(google).await;
    let gateway = gateway("gemini", &upstream, "");
    let data = format!("data:image/webp;base64,{}", IMAGES[1]);
    let wish = json!({"model": "draw", "prompt": "bluer", "images": [{"image_url": data}]});
    let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ndraw\r\n--X\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nbluer\r\n--X\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.webp\"\r\nContent-Type: image/webp\r\n\r\nBB\r\n--X--\r\n";
    for is_form in [false, true] {
        let request = support::client().post(format!("{}/v1/images/edits", gateway.url()));
        let answer = if is_form {
            let kind = "multipart/form-data; boundary=X";
            support::send(request.header("content-type", kind).body(form)).await
        } else {
            support::send(request.header("content-type", "application/json").body(wish.to_string())).await
        };
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["data"][0]["b64_json"], IMAGES[0]);
        let sent = upstream.received().pop().unwrap().json();
        let expected =
            json!([{"inlineData": {"mimeType": "image/webp", "data": IMAGES[1]}}, {"text": "bluer"}]);
        assert_eq!(sent["contents"][0]["parts"], expected, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compatible_services_get_what_the_client_sends() {
    let upstream = Upstream::start(openai).await;
    let gateway = gateway("chat", &upstream, "");
    let body = r#"{"model": "draw", "prompt":"a heron","quality":"high","x":1.0}"#;
    let post = |path: &str, kind: &str, body: Vec<u8>| {
        let request = support::client().post(format!("{}{path}", gateway.url()));
        support::send(request.header("content-type", kind).body(body))
    };
    let answer = post("/v1/images/generations", "application/json", body.into()).await;
    assert!(
        answer.body.starts_with("{\"created\" : 1,") && answer.body.ends_with("\"x\":1.0}"),
        "{}",
        answer.body
    );
    let sent = upstream.received().remove(0);
    assert_eq!(sent.path, "/v1/images/generations");
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), body.replace("draw", "gemini-image-up"));
    // A form keeps every byte but those of the model's name.
    let mut form = b"--X\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n".to_vec();
    form.extend_from_slice(b"\x89PNG\x00\xFF\r\n--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ndraw\r\n--X\r\nContent-Disposition: form-data; name=\"mask\"; filename=\"m.png\"\r\n\r\n\x01\r\n--X--\r\n");
    let answer = post("/v1/images/edits", "multipart/form-data; boundary=X", form.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let sent = upstream.received().pop().unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.header("content-type")),
        ("/v1/images/edits", "multipart/form-data; boundary=X")
    );
    let at = form.windows(4).rposition(|window| window == b"draw").unwrap();
    let expected = [&form[..at], b"gemini-image-up", &form[at + 4..]].concat();
    assert_eq!(sent.body, expected);
    // Streams pass byte for byte.
    let mut wish = order("draw");
    wish["stream"] = json!(true);
    let answer = post("/v1/images/generations", "application/json", wish.to_string().into()).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    let kinds: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, ["image_generation.partial_image", "image_generation.completed"], "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_and_an_image_that_is_held_back_are_errors() {
    let upstream = Upstream::start(|_| {
        Script::events(vec![
            "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\"}\n\n"
                .into(),
        ])
    })
    .await;
    let broken = gateway("chat", &upstream, "");
    let mut wish = order("draw");
    wish["stream"] = json!(true);
    let answer = support::ask(&broken, "/v1/images/generations", &wish).await;
    assert!(answer.body.contains("event: error\ndata: {\"error\""), "{}", answer.body);
    for (model, body) in [
        ("imagen", json!({"predictions": [{"raiFilteredReason": "words"}]})),
        ("draw", json!({"candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}], "modelVersion": "m"})),
    ] {
        let upstream = Upstream::start(move |_| Script::json(200, body.to_string())).await;
        let gateway = gateway("gemini", &upstream, "");
        let answer = support::ask(&gateway, "/v1/images/generations", &order(model)).await;
        assert_eq!(answer.status, 400, "{model}: {}", answer.body);
        assert!(answer.error("chat").2.contains("no image was made"), "{model}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_drawn_is_refused_and_who_can_is_named() {
    let upstream = Upstream::start(google).await;
    let gateway = gateway("gemini", &upstream, "");
    let ask = async |path: &str, body: Value| {
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.error("chat").2
    };
    let said = ask("/v1/images/generations", order("up")).await;
    assert!(
        said.contains("`up` gives no images") && said.contains("`draw`") && said.contains("`imagen`"),
        "{said}"
    );
    let said = ask(
        "/v1/images/edits",
        json!({"model": "imagen", "prompt": "p", "image": "data:image/png;base64,QUE="}),
    )
    .await;
    assert!(
        said.contains("no changed images") && said.contains("`draw`") && !said.contains("`imagen`,"),
        "{said}"
    );
    for (path, body, words) in [
        ("/v1/images/generations", json!({"model": "draw"}), "prompt"),
        ("/v1/images/generations", json!({"model": "draw", "prompt": "p", "size": "big"}), "WIDTHxHEIGHT"),
        ("/v1/images/edits", json!({"model": "draw", "prompt": "p"}), "image"),
        (
            "/v1/images/edits",
            json!({"model": "draw", "prompt": "p", "image": "data:image/png;base64,QUE=", "mask": "m"}),
            "whole images",
        ),
    ] {
        let answer = support::ask(&gateway, path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    let request = support::client().post(format!("{}/v1/images/edits", gateway.url()));
    let broken = request.header("content-type", "multipart/form-data; boundary=X").body("--X\r\nno end");
    let answer = support::send(broken).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.error("chat").2.contains("form is broken"), "{}", answer.body);
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_can_be_switched_off() {
    let upstream = Upstream::start(google).await;
    for (word, status) in [("true", 404), ("chat", 200), ("passthrough", 200)] {
        let gateway = gateway("gemini", &upstream, &format!("disable-image-generation: {word}\n"));
        let answer = support::ask(&gateway, "/v1/images/generations", &order("draw")).await;
        assert_eq!(answer.status, status, "{word}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_say_what_may_be_asked_of_a_model() {
    let upstream = Upstream::start(google).await;
    let entry = support::entry("gemini", "k", &upstream.url(), "prefix: ''");
    let gateway = support::start(&support::list("gemini", &[entry]), &[]);
    let listed = support::get(&gateway, "/v1beta/models").await.json();
    let methods = |id: &str| {
        let models = listed["models"].as_array().unwrap().iter();
        let mut found = models.filter(|model| model["name"] == format!("models/{id}"));
        found.next().unwrap_or_else(|| panic!("{id} in {listed}"))["supportedGenerationMethods"][0].clone()
    };
    assert_eq!(methods("gemini-embedding-001"), "embedContent");
    assert_eq!(methods("imagen-4.0-generate-001"), "predict");
    assert_eq!(methods("gemini-2.5-pro"), "generateContent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_that_makes_images_is_withheld_where_it_is_switched_off() {
    for (switch, is_withheld) in [("true", true), ("chat", true), ("passthrough", false), ("false", false)] {
        let upstream = Upstream::start(support::answering("responses")).await;
        let config =
            format!("disable-image-generation: {switch}\n{}", support::config("responses", &upstream));
        let gateway = support::start(&config, &[]);
        let tools = json!([{"type": "image_generation"}, {"type": "web_search"}]);
        let body = json!({"model": "up", "input": "hi", "tools": tools, "tool_choice": {"type": "image_generation"}});
        let answer = support::ask(&gateway, "/v1/responses", &body).await;
        assert_eq!(answer.status, 200, "{switch}: {}", answer.body);
        let sent = upstream.received().pop().unwrap().json();
        let dropped = if is_withheld { "tools[0]" } else { "" };
        assert_eq!(answer.header("x-gateway-dropped"), dropped, "{switch}");
        if is_withheld {
            assert_eq!(sent["tools"], json!([{"type": "web_search"}]), "{switch}");
            assert_eq!(sent.get("tool_choice"), None, "{switch}");
        } else {
            assert_eq!(
                (&sent["tools"], &sent["tool_choice"]),
                (&body["tools"], &body["tool_choice"]),
                "{switch}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_a_compatible_entry_marks_make_its_images_and_others_do_not() {
    let upstream = Upstream::start(openai).await;
    let start = |models: &str| {
        let entry =
            support::entry("chat", "upstream-key-0001", &upstream.url(), &format!("models: [{models}]"));
        support::start(&format!("request-retry: 0\n{}", support::list("chat", &[entry])), &[])
    };
    let draw = async |gateway: &Gateway, model: &str| {
        support::ask(gateway, "/v1/images/generations", &order(model)).await
    };
    // Where nothing is marked any model may make them.
    let open = start("{name: a}, {name: b}");
    assert_eq!(draw(&open, "a").await.status, 200);
    let marked = start(
        "{name: sketch, image: true, output-modalities: [image]}, {name: talk}, {name: both, image: true}",
    );
    for model in ["sketch", "both"] {
        assert_eq!(draw(&marked, model).await.status, 200, "{model}");
        assert_eq!(upstream.received().pop().unwrap().json()["model"], model);
    }
    let asked = upstream.received().len();
    let answer = draw(&marked, "talk").await;
    let said = answer.error("chat").2;
    assert_eq!(answer.status, 400, "{said}");
    assert!(said.contains("`talk` gives no images") && said.contains("`both`, `sketch`"), "{said}");
    // A model that writes nothing but images holds no conversations.
    let answer = support::ask_model(&marked, "claude", "sketch", true).await;
    let said = answer.error("claude").2;
    assert_eq!(answer.status, 400, "{said}");
    assert!(said.contains("`sketch` gives no answers"), "{said}");
    assert_eq!(upstream.received().len(), asked);
    // In a pool orders go to the one that is marked, and conversations to the other.
    let pool = start(
        "{name: sketch, alias: pool, image: true, output-modalities: [image]}, {name: talk, alias: pool}",
    );
    for _ in 0..4 {
        assert_eq!(draw(&pool, "pool").await.status, 200);
        assert_eq!(upstream.received().pop().unwrap().json()["model"], "sketch");
    }
}
