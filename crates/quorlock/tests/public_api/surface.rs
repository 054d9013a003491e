//! Reads the source for what is public: the names that `lib.rs` exports, and under each its fields, variants, functions
//! and impls. By syntax alone, so types stand as they are written. Compares nothing.

use std::path::Path;
use std::{fmt, fs};

use syn::{
    Fields, File, FnArg, ImplItem, Item, ItemImpl, ItemMacro, Pat, Signature, TraitItem, Type,
    UseTree,
};

use crate::text::{self, is_hidden, is_public, shown, text};

pub(crate) struct Surface {
    files: Vec<(String, File)>,
    lines: Vec<String>,
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Surface {
    /// The surface of the crate whose source is in this folder.
    pub(crate) fn of(source: &Path) -> Self {
        let mut files = Vec::new();
        collect(source, source, &mut files);
        files.sort();
        Self::parse(files)
    }

    /// Of files by their paths, `lib.rs` among them.
    pub(crate) fn parse(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let parsed = |(path, text): (String, String)| {
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, file)
        };
        let mut surface =
            Self { files: files.into_iter().map(parsed).collect(), lines: Vec::new() };
        let lib =
            surface.files.iter().find(|(path, _)| path == "lib.rs").expect("there is a lib.rs");
        let root = lib.1.items.clone();
        surface.module("", &root);
        surface
    }

    /// Everything public in a module of `lib.rs`; `path` ends with `::`.
    fn module(&mut self, path: &str, items: &[Item]) {
        for item in items {
            match item {
                Item::Use(export) if is_public(&export.vis) && !is_hidden(&export.attrs) => {
                    let mut names = Vec::new();
                    flatten(&export.tree, &mut Vec::new(), &mut names);
                    names.sort();
                    for (name, from) in names {
                        self.exported(&shown(&export.attrs), path, &name, &from);
                    }
                }
                Item::Mod(module) if is_public(&module.vis) && !is_hidden(&module.attrs) => {
                    let (_, inner) = module.content.as_ref().unwrap_or_else(|| {
                        panic!("`pub mod {}` is not written out in lib.rs", module.ident)
                    });
                    self.module(&format!("{path}{}::", module.ident), inner);
                }
                Item::Macro(exported) if shown(&exported.attrs).contains("macro_export") => {
                    let name = exported.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                    self.lines.push(format!("macro {name}!"));
                }
                item => self.defined(path, "", item, &format!("{path}{}", text::name(item))),
            }
        }
    }

    /// An item that is defined somewhere and exported as `name`.
    fn exported(&mut self, attributes: &str, path: &str, name: &str, from: &[String]) {
        let (original, module) = from.split_last().expect("a path has a last part");
        let module = module.iter().find(|part| *part != "crate" && *part != "self");
        let starts = |path: &str| module.is_none_or(|module| path.starts_with(module.as_str()));
        let files = self.files.iter().filter(|(path, _)| starts(path));
        let items = files.flat_map(|(_, file)| &file.items);
        let found: Vec<_> = items
            .filter(|item| text::name(item) == *original)
            .filter(|item| text::head(item).is_some_and(|(visibility, _)| is_public(visibility)))
            .cloned()
            .collect();
        assert!(!found.is_empty(), "`{original}` is exported, but defined nowhere");
        for item in found {
            self.defined(path, attributes, &item, &format!("{path}{name}"));
        }
        self.impls(original, &format!("{path}{name}"));
    }

    /// An item, with what is in it.
    fn defined(&mut self, path: &str, exported: &str, item: &Item, name: &str) {
        let Some((visibility, attributes)) = text::head(item) else { return };
        if !is_public(visibility) || is_hidden(attributes) {
            return;
        }
        let front = format!("{exported}{}", shown(attributes));
        let mut line = |text: String| self.lines.push(text);
        match item {
            Item::Struct(item) => {
                line(format!("{front}pub struct {name}{}", text(&item.generics)));
                public_fields(&item.fields).for_each(|field| line(format!("{name}: {field}")));
            }
            Item::Enum(item) => {
                line(format!("{front}pub enum {name}{}", text(&item.generics)));
                for variant in &item.variants {
                    let (attributes, fields) =
                        (shown(&variant.attrs), variant_fields(&variant.fields));
                    line(format!("{name}: {attributes}{}{fields}", variant.ident));
                }
            }
            Item::Trait(item) => {
                let above = text(&item.supertraits);
                let above = if above.is_empty() { above } else { format!(": {above}") };
                line(format!("{front}pub trait {name}{}{above}", text(&item.generics)));
                item.items.iter().filter_map(of_trait).for_each(|it| line(format!("{name}: {it}")));
            }
            Item::Fn(item) => {
                let signature = signature(&item.sig);
                line(format!("{front}pub {}", signature.replacen("fn ", &format!("fn {path}"), 1)));
            }
            Item::Type(item) => line(format!("{front}pub type {name} = {}", text(&item.ty))),
            Item::Const(item) => line(format!("{front}pub const {name}: {}", text(&item.ty))),
            other => line(format!("{front}pub {name} (of a kind not read: {})", text(other))),
        }
    }

    /// What is implemented for it anywhere, sorted.
    fn impls(&mut self, original: &str, name: &str) {
        let mut lines = Vec::new();
        for (_, file) in &self.files {
            let impls = file.items.iter().filter_map(|item| match item {
                Item::Impl(block) if is_for(block, original) => Some(block),
                _ => None,
            });
            for block in impls {
                let name = &with_arguments(block, name);
                match &block.trait_ {
                    Some((_, of, _)) => lines.push(of_a_trait(block, &text(of), name)),
                    None => lines.extend(
                        inherent(block, file).into_iter().map(|item| format!("{name}: {item}")),
                    ),
                }
            }
        }
        lines.sort();
        self.lines.extend(lines);
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            let path = path.strip_prefix(root).expect("it is inside");
            found.push((path.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

/// `(name, path)` of everything that a `use` names.
fn flatten(tree: &UseTree, above: &mut Vec<String>, names: &mut Vec<(String, Vec<String>)>) {
    let whole = |above: &[String], last: String| above.iter().cloned().chain([last]).collect();
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, names);
            above.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, above, names)),
        UseTree::Name(name) => {
            names.push((name.ident.to_string(), whole(above, name.ident.to_string())));
        }
        UseTree::Rename(new) => {
            names.push((new.rename.to_string(), whole(above, new.ident.to_string())));
        }
        UseTree::Glob(_) => panic!("`pub use {}::*`: name what is exported", above.join("::")),
    }
}

fn is_for(block: &ItemImpl, name: &str) -> bool {
    matches!(&*block.self_ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
        && !is_hidden(&block.attrs)
}

/// The type that a block is for: of a generic one, with what it is filled with.
fn with_arguments(block: &ItemImpl, name: &str) -> String {
    match &*block.self_ty {
        Type::Path(path) => {
            let arguments = path.path.segments.last().map(|last| text(&last.arguments));
            format!("{name}{}", arguments.unwrap_or_default())
        }
        _ => name.to_owned(),
    }
}

fn of_a_trait(block: &ItemImpl, of: &str, name: &str) -> String {
    let types = block.items.iter().filter_map(|item| match item {
        ImplItem::Type(it) => Some(format!("type {} = {}", it.ident, text(&it.ty))),
        _ => None,
    });
    let types = types.collect::<Vec<_>>().join("; ");
    let types = if types.is_empty() { types } else { format!(" {{ {types} }}") };
    format!("{}impl{} {of} for {name}{types}", shown(&block.attrs), text(&block.generics))
}

/// The public functions and constants of a block, those that come from a macro of the same file among them.
fn inherent(block: &ItemImpl, file: &File) -> Vec<String> {
    let from_macros = block.items.iter().filter_map(|item| match item {
        ImplItem::Macro(call) => Some(expanded(&text(&call.mac.path), file)),
        _ => None,
    });
    let from_macros: Vec<_> = from_macros.flatten().collect();
    block.items.iter().chain(&from_macros).filter_map(of_block).collect()
}

/// A macro of one arm without arguments, which is all that stands for items of a block here.
fn expanded(name: &str, file: &File) -> Vec<ImplItem> {
    let is_it = |item: &&ItemMacro| item.ident.as_ref().is_some_and(|ident| ident == name);
    let macros = file.items.iter().filter_map(|item| match item {
        Item::Macro(rules) => Some(rules),
        _ => None,
    });
    let rules = macros.into_iter().find(is_it);
    let rules = rules.unwrap_or_else(|| panic!("`{name}!` is not in the file that uses it"));
    let body = rules.mac.tokens.to_string();
    let body =
        body.trim().strip_prefix("() =>").unwrap_or_else(|| panic!("`{name}!` takes arguments"));
    let block = format!("impl X {}", body.trim().trim_end_matches(';'));
    syn::parse_str::<ItemImpl>(&block).unwrap_or_else(|error| panic!("`{name}!`: {error}")).items
}

fn of_block(item: &ImplItem) -> Option<String> {
    let (visibility, attributes, said) = match item {
        ImplItem::Fn(it) => (&it.vis, &it.attrs, signature(&it.sig)),
        ImplItem::Const(it) => {
            (&it.vis, &it.attrs, format!("const {}: {}", it.ident, text(&it.ty)))
        }
        _ => return None,
    };
    let listed = is_public(visibility) && !is_hidden(attributes);
    listed.then(|| format!("{}pub {said}", shown(attributes)))
}

fn of_trait(item: &TraitItem) -> Option<String> {
    let (attributes, said, provided) = match item {
        TraitItem::Fn(it) => (&it.attrs, signature(&it.sig), it.default.is_some()),
        TraitItem::Const(it) => {
            (&it.attrs, format!("const {}: {}", it.ident, text(&it.ty)), it.default.is_some())
        }
        TraitItem::Type(it) => (&it.attrs, format!("type {}", it.ident), it.default.is_some()),
        _ => return None,
    };
    let provided = if provided { " (provided)" } else { "" };
    (!is_hidden(attributes)).then(|| format!("{}{said}{provided}", shown(attributes)))
}

/// Without `mut` of arguments, which is nobody's business.
fn signature(signature: &Signature) -> String {
    let mut signature = signature.clone();
    for argument in &mut signature.inputs {
        match argument {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            FnArg::Typed(typed) => {
                if let Pat::Ident(name) = &mut *typed.pat {
                    name.mutability = None;
                }
            }
            FnArg::Receiver(_) => {}
        }
    }
    text(&signature)
}

fn public_fields(fields: &Fields) -> impl Iterator<Item = String> {
    fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)).map(|(place, field)| {
        let name = field.ident.as_ref().map_or_else(|| place.to_string(), ToString::to_string);
        format!("{}pub {name}: {}", shown(&field.attrs), text(&field.ty))
    })
}

fn variant_fields(fields: &Fields) -> String {
    let all = fields.iter().map(|field| match &field.ident {
        Some(name) => format!("{}{name}: {}", shown(&field.attrs), text(&field.ty)),
        None => format!("{}{}", shown(&field.attrs), text(&field.ty)),
    });
    let all = all.collect::<Vec<_>>().join(", ");
    match fields {
        Fields::Named(_) => format!(" {{ {all} }}"),
        Fields::Unnamed(_) => format!("({all})"),
        Fields::Unit => String::new(),
    }
}
