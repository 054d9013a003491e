//! Syntax as one line of text, and the little that is asked of it: is it public, is it hidden, what is written on it.

use quote::ToTokens;
use syn::{Attribute, Item, Meta, Visibility};

/// The attributes that users of an item depend on. What a `must_use` says is not one of them.
const SHOWN: [&str; 7] =
    ["cfg", "deprecated", "derive", "from", "macro_export", "must_use", "non_exhaustive"];

/// What a printer of tokens spaces otherwise than people do, in the order in which it is put right.
const SPACING: &[(&str, &str)] = &[
    ("\n", " "),
    (" :: ", "::"),
    (":: ", "::"),
    (" ::", "::"),
    (" : ", ": "),
    (" , ", ", "),
    (" ,", ","),
    (" ; ", "; "),
    (" <", "<"),
    ("< ", "<"),
    (" >", ">"),
    (" (", "("),
    ("->(", "-> ("),
    ("=(", "= ("),
    (",(", ", ("),
    ("& ", "&"),
    ("? ", "?"),
    ("# [", "#["),
    (", )", ")"),
    (",)", ")"),
    (", >", ">"),
    (",>", ">"),
];

pub(crate) fn text(syntax: &impl ToTokens) -> String {
    let mut text = syntax.to_token_stream().to_string();
    for (from, to) in SPACING {
        text = text.replace(from, to);
    }
    text.trim().to_owned()
}

/// With a blank behind each, to stand in front of something.
pub(crate) fn shown(attributes: &[Attribute]) -> String {
    let shown = attributes.iter().filter(|one| SHOWN.iter().any(|name| one.path().is_ident(name)));
    shown
        .map(|one| match &one.meta {
            Meta::NameValue(reason) => format!("#[{}] ", text(&reason.path)),
            Meta::Path(path) if path.is_ident("must_use") => {
                "#[must_use (without a reason)] ".to_owned()
            }
            _ => format!("{} ", text(one)),
        })
        .collect()
}

pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|one| matches!(text(one).as_str(), "#[doc(hidden)]" | "#[cfg(test)]"))
}

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

pub(crate) fn name(item: &Item) -> String {
    match item {
        Item::Struct(it) => it.ident.to_string(),
        Item::Enum(it) => it.ident.to_string(),
        Item::Trait(it) => it.ident.to_string(),
        Item::Type(it) => it.ident.to_string(),
        Item::Const(it) => it.ident.to_string(),
        Item::Static(it) => it.ident.to_string(),
        Item::Union(it) => it.ident.to_string(),
        Item::Fn(it) => it.sig.ident.to_string(),
        _ => String::new(),
    }
}

/// Of what can be exported by its name, and is no module.
pub(crate) fn head(item: &Item) -> Option<(&Visibility, &[Attribute])> {
    match item {
        Item::Struct(it) => Some((&it.vis, &it.attrs)),
        Item::Enum(it) => Some((&it.vis, &it.attrs)),
        Item::Trait(it) => Some((&it.vis, &it.attrs)),
        Item::Type(it) => Some((&it.vis, &it.attrs)),
        Item::Const(it) => Some((&it.vis, &it.attrs)),
        Item::Static(it) => Some((&it.vis, &it.attrs)),
        Item::Union(it) => Some((&it.vis, &it.attrs)),
        Item::Fn(it) => Some((&it.vis, &it.attrs)),
        _ => None,
    }
}
