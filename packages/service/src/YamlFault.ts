/**
 * What is wrong with a YAML text, in words of our own: the parser's quote the text, which may hold secrets.
 */
import type { YAMLError } from "yaml"

const sentences: Readonly<Record<YAMLError["code"], string>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "this alias has no anchor that it could stand for",
  BAD_COLLECTION_TYPE: "a list or a map stands here where the tag says otherwise",
  BAD_DIRECTIVE: "this line that starts with % is not a directive that is known",
  BAD_DQ_ESCAPE: "a text in double quotes has an escape that is not known",
  BAD_INDENT: "the indentation does not fit, or a bracket or brace is not closed",
  BAD_PROP_ORDER: "an anchor or a tag stands before the sign that it has to follow",
  BAD_SCALAR_START: "a text cannot start with this character: put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a map or a list cannot stand on the same line as its key",
  BLOCK_IN_FLOW: "a block cannot stand inside of brackets or braces",
  DUPLICATE_KEY: "this key stands twice in the same map",
  IMPOSSIBLE: "the text cannot be read",
  KEY_OVER_1024_CHARS: "a key is longer than 1024 characters",
  MISSING_CHAR: "a character is missing: a quote, a colon, a comma or a space",
  MULTILINE_IMPLICIT_KEY: "a key must be on one line",
  MULTIPLE_ANCHORS: "there is more than one anchor",
  MULTIPLE_DOCS: "there is more than one document in the file",
  MULTIPLE_TAGS: "there is more than one tag",
  NON_STRING_KEY: "a key must be a text",
  RESOURCE_EXHAUSTION: "the text is nested too deeply",
  TAB_AS_INDENT: "a tab cannot indent: use spaces",
  TAG_RESOLVE_FAILED: "this tag is not known, or does not fit what it stands before",
  UNEXPECTED_TOKEN: "this cannot stand here"
}

/** The sentence for a fault of the parser's. */
export const yamlFault = (code: YAMLError["code"]): string => sentences[code]
