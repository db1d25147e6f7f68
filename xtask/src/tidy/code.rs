//! Rules about Rust code, checked on its syntax tree.
//!
//! The tree knows no types, so a rule goes by the names that the code writes: a pattern `Format::Chat` is a match over
//! the format. That is enough for code that qualifies its names, which is a rule of its own.

use std::collections::BTreeSet;

use anyhow::Context as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::order::Orders;
use super::{Report, order};
use crate::tree::{File, Tree};

/// A function longer than this is looked at again.
const LONG: usize = 60;

/// Where a `match` over `Format` stands besides `format.rs`, and why.
const FORMAT_MATCHES: &[(&str, &str)] = &[
    (
        "crates/cliproxy-wire/src/",
        "each pass and lane knows how the formats differ in what it does; codecs are chosen in format.rs",
    ),
    (
        "crates/cliproxy-core/src/config/payload/condition.rs",
        "payload rules have names of their own for formats",
    ),
    ("fuzz/", "targets choose profiles"),
];

/// The four codecs. None knows another: what one reads and another writes goes through the canonical model.
const CODECS: [&str; 4] = ["chat", "responses", "claude", "gemini"];

/// Where a `match` over the kind of a fault stands besides the error table.
const KIND_MATCHES: &[(&str, &str)] = &[
    ("crates/cliproxy-wire/src/fault/", "the table and its neighbors"),
    ("xtask/src/errors.rs", "the document of the table"),
    ("crates/cliproxy-core/src/provider/", "what a refusal means is the provider's to judge"),
];

/// Where a codec uses another one, and why.
const CODEC_USES: &[(&str, &str)] = &[(
    "crates/cliproxy-wire/src/chat/decode/mod.rs",
    "a Responses body sent to the Chat route is read as what it is",
)];

/// Where an interface may speak of a JSON tree, and why.
const VALUES: &[(&str, &str)] = &[
    ("crates/cliproxy-core/src/config/file/decode.rs", "free members of the file"),
    ("crates/cliproxy-core/src/config/document/", "the file as management interfaces read and edit it"),
    ("crates/cliproxy-core/src/config/view.rs", "the same, with what is in force"),
    ("crates/cliproxy-core/src/config/entries.rs", "entries with members that only newer programs know"),
    ("crates/cliproxy-core/src/credential/record.rs", "an auth file is a tree whose members providers name"),
    ("crates/cliproxy-core/src/oauth/", "answers of identity providers: small, cold, different everywhere"),
    ("crates/cliproxy-core/src/store/patch.rs", "changes of auth files, whose members providers name"),
    ("crates/cliproxy-wire/src/json/mod.rs", "the door from raw text to a tree"),
];

/// Where secrets leave their box, and why.
const EXPOSURES: &[(&str, &str)] = &[
    ("crates/cliproxy-core/src/config/", "the file is read and checked here"),
    ("crates/cliproxy-core/src/engine/errand.rs", "headers of errands are built here"),
    ("crates/cliproxy-core/src/lender/", "tokens are given back to the program they came from"),
    ("crates/cliproxy-core/src/login/", "what a person or a browser brings goes to identity providers"),
    ("crates/cliproxy-core/src/oauth/", "requests to identity providers are built here"),
    ("crates/cliproxy-core/src/provider/", "headers are built here"),
    ("crates/cliproxy-core/src/upstream/way.rs", "the address of a proxy"),
    ("crates/cliproxy-core/src/snapshot/mod.rs", "keys of maps"),
    ("crates/cliproxy-core/src/credential/record.rs", "hashed to recognize a token"),
    ("crates/cliproxy-core/src/proxy.rs", "hashed to tell ways apart"),
    ("crates/cliproxy-server/src/management/usage.rs", "panels look for counts by address and key"),
    ("crates/cliproxy-server/src/api/amp/forward.rs", "headers of the control plane are built here"),
    (
        "crates/cliproxy-core/src/access/",
        "hashed into the id of a client key, compared with the hash of the management key",
    ),
];

/// Last words of type names that say nothing.
const VAGUE: [&str; 11] = [
    "Utils",
    "Helper",
    "Helpers",
    "Common",
    "Misc",
    "Base",
    "Manager",
    "Handler",
    "Processor",
    "Data",
    "Info",
];

/// The engine's members; one more needs a reason in `docs/adr/0003-engine-members.md`.
const ENGINE: &str = "crates/cliproxy-core/src/engine/mod.rs";
const ENGINE_MEMBERS: usize = 13;

pub(super) fn check(tree: &Tree, report: &mut Report) -> anyhow::Result<()> {
    let orders = Orders::read(tree);
    order::check(tree, &orders, report);
    for file in tree.with_extension(".rs") {
        let syntax = syn::parse_file(&file.text).with_context(|| format!("cannot read {}", file.path))?;
        let (aliases, is_test) = (kind_aliases(&syntax), is_test_file(&file.path));
        let mut rules = Rules { file, report, orders: &orders, aliases, is_test };
        rules.visit_file(&syntax);
    }
    providers(tree, report);
    Ok(())
}

/// A provider proves itself: what it sends, and what it makes of refusals.
fn providers(tree: &Tree, report: &mut Report) {
    const FOLDER: &str = "crates/cliproxy-core/src/provider/";
    let folders = |mark: &str| -> BTreeSet<String> {
        tree.files
            .iter()
            .filter(|file| file.text.contains(mark))
            .filter_map(|file| Some(file.path.strip_prefix(FOLDER)?.split_once('/')?.0.to_owned()))
            .collect()
    };
    for name in folders("impl Provider for").difference(&folders("#[test]")) {
        report.refuse(&format!("{FOLDER}{name}"), 0, "a provider without tests of its own");
    }
}

struct Rules<'a> {
    file: &'a File,
    report: &'a mut Report,
    orders: &'a Orders,
    /// What this file calls the kind of a fault.
    aliases: BTreeSet<String>,
    is_test: bool,
}

impl Rules<'_> {
    fn refuse(&mut self, line: usize, what: impl Into<String>) {
        self.report.refuse(&self.file.path, line, what);
    }

    fn is_in(&self, places: &[(&str, &str)]) -> bool {
        places.iter().any(|(place, _)| self.file.path.starts_with(place))
    }

    fn exposure(&mut self, line: usize) {
        if !self.is_test && !self.is_in(EXPOSURES) {
            self.refuse(line, "a secret leaves its box at a new place");
        }
    }

    /// A codec that uses another one would be a translator of a pair.
    fn codec(&mut self, path: &[String], line: usize) {
        let Some(inside) = self.file.path.strip_prefix("crates/cliproxy-wire/src/") else { return };
        let own = inside.split('/').next().unwrap_or_default();
        if let [root, other, ..] = path
            && root == "crate"
            && CODECS.contains(&own)
            && CODECS.contains(&other.as_str())
            && other != own
            && !self.is_in(CODEC_USES)
        {
            self.refuse(line, format!("the codec {own} uses the codec {other}"));
        }
    }

    /// A room that uses one above it.
    fn order(&mut self, path: &[String], line: usize) {
        if !self.is_test
            && let Some(what) = self.orders.breach(&self.file.path, path)
        {
            self.refuse(line, what);
        }
    }

    fn name(&mut self, name: &syn::Ident) {
        let text = name.to_string();
        let start = text.rfind(char::is_uppercase).unwrap_or_default();
        let last = text.get(start..).unwrap_or_default();
        if VAGUE.contains(&last) || last == "Trait" {
            self.refuse(name.span().start().line, format!("`{text}`: `{last}` says nothing"));
        }
    }

    fn function(&mut self, name: &syn::Ident, block: &syn::Block) {
        let braces = block.brace_token.span;
        let lines = braces.close().end().line - name.span().start().line + 1;
        if lines > LONG {
            self.report.show(
                &self.file.path,
                name.span().start().line,
                format!("`{name}` has {lines} lines"),
            );
        }
    }

    fn interface(&mut self, is_public: bool, types: &[&syn::Type]) {
        let is_library = self.file.path.starts_with("crates/cliproxy-") && self.file.path.contains("/src/");
        if !is_public || self.is_test || !is_library || self.is_in(VALUES) {
            return;
        }
        for found in types {
            let mut trees = Trees(Vec::new());
            trees.visit_type(found);
            for line in trees.0 {
                self.refuse(line, "an interface speaks of a JSON tree (`Value`)");
            }
        }
    }

    fn signature(&mut self, is_public: bool, signature: &syn::Signature) {
        let mut types: Vec<&syn::Type> = signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                syn::FnArg::Typed(input) => Some(&*input.ty),
                syn::FnArg::Receiver(_) => None,
            })
            .collect();
        if let syn::ReturnType::Type(_, output) = &signature.output {
            types.push(output);
        }
        self.interface(is_public, &types);
    }

    fn fields(&mut self, is_public: bool, fields: &syn::Fields) {
        for field in fields {
            self.interface(is_public && matches!(field.vis, syn::Visibility::Public(_)), &[&field.ty]);
        }
    }

    /// Visits what an item holds, as test code when its attributes say so.
    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.is_test;
        self.is_test |= attributes.iter().any(is_test_attribute);
        visit(self);
        self.is_test = before;
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("allow") {
            self.refuse(attribute.span().start().line, "`allow`; write `expect` with a reason");
        }
        if attribute.path().is_ident("ignore") || attribute.path().is_ident("should_panic") {
            self.refuse(attribute.span().start().line, "a test runs, and says what it expects");
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |rules| visit::visit_item_mod(rules, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.signature(matches!(item.vis, syn::Visibility::Public(_)), &item.sig);
        self.within(&item.attrs, |rules| visit::visit_item_fn(rules, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.signature(matches!(item.vis, syn::Visibility::Public(_)), &item.sig);
        self.within(&item.attrs, |rules| visit::visit_impl_item_fn(rules, item));
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.name(&item.ident);
        self.fields(matches!(item.vis, syn::Visibility::Public(_)), &item.fields);
        if self.file.path == ENGINE && item.ident == "Inner" && item.fields.len() > ENGINE_MEMBERS {
            let line = item.ident.span().start().line;
            let what = format!(
                "{} members; {ENGINE_MEMBERS} have a reason in docs/adr/0003-engine-members.md",
                item.fields.len()
            );
            self.refuse(line, what);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.name(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.name(&item.ident);
        let is_public = matches!(item.vis, syn::Visibility::Public(_));
        for member in &item.items {
            if let syn::TraitItem::Fn(function) = member {
                self.signature(is_public, &function.sig);
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.name(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.codec(&segments, path.span().start().line);
        self.order(&segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        self.within(&item.attrs, |rules| {
            for path in paths {
                rules.codec(&path, item.span().start().line);
                rules.order(&path, item.span().start().line);
            }
        });
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        if !self.is_test {
            let line = expression.match_token.span.start().line;
            let mut owners = Owners(BTreeSet::new());
            for arm in &expression.arms {
                owners.visit_pat(&arm.pat);
            }
            if owners.0.contains("Format")
                && !self.file.path.ends_with("/format.rs")
                && !self.is_in(FORMAT_MATCHES)
            {
                self.refuse(line, "a match over `Format` outside format.rs");
            }
            if !owners.0.is_disjoint(&self.aliases) && !self.is_in(KIND_MATCHES) {
                self.refuse(line, "a match over the kind of a fault outside its table");
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What stands inside of a macro is no tree yet.
        if call.tokens.to_string().contains(". expose") {
            self.exposure(call.path.span().start().line);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "expose" {
            self.exposure(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// The enums that patterns name, written as in the code.
struct Owners(BTreeSet<String>);

impl<'ast> Visit<'ast> for Owners {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(owner) = path.segments.iter().rev().nth(1) {
            self.0.insert(owner.ident.to_string());
        }
    }
}

/// Lines at which a type names a JSON tree.
struct Trees(Vec<usize>);

impl<'ast> Visit<'ast> for Trees {
    fn visit_type_path(&mut self, found: &'ast syn::TypePath) {
        if let Some(last) = found.path.segments.last()
            && last.ident == "Value"
        {
            self.0.push(last.ident.span().start().line);
        }
        visit::visit_type_path(self, found);
    }
}

/// The names under which a file uses `fault::Kind`.
fn kind_aliases(file: &syn::File) -> BTreeSet<String> {
    let mut paths = Vec::new();
    for item in &file.items {
        if let syn::Item::Use(item) = item {
            flatten(&item.tree, &mut Vec::new(), &mut paths);
        }
    }
    let is_kind = |path: &&Vec<String>| matches!(path.as_slice(), [.., fault, kind, _] if fault == "fault" && kind == "Kind");
    paths.iter().filter(is_kind).filter_map(|path| path.last().cloned()).collect()
}

/// Every path that a `use` names, and behind it the name that it has in the file.
fn flatten(tree: &syn::UseTree, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let mut end = |name: &syn::Ident, alias: &syn::Ident| {
        let ends = [name.to_string(), alias.to_string()];
        paths.push(prefix.iter().cloned().chain(ends).collect());
    };
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, paths);
            prefix.pop();
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, paths);
            }
        }
        syn::UseTree::Name(name) => end(&name.ident, &name.ident),
        syn::UseTree::Rename(rename) => end(&rename.ident, &rename.rename),
        syn::UseTree::Glob(_) => paths.push(prefix.clone()),
    }
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("crates/cliproxy-testkit/")
}

fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "test")
        || (attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test"))
}
