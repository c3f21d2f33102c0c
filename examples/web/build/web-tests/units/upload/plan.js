// src/upload/plan.ts
var SMALL = 256 << 10;
var NAME_MAX = 240;
function identity(source, salt = "") {
  return ["web", source.path || source.name, source.size, source.modified, salt].join("\n");
}
function nameFault(name) {
  if (new TextEncoder().encode(name).length > NAME_MAX)
    return "nameTooLong";
  if (name === "" || name === "." || name === ".." || /[/\\:\u0000-\u001f\u007f]/.test(name) || name.endsWith(".manifest.json"))
    return "badName";
  return void 0;
}
function fitsPut(source, segment) {
  return source.size <= Math.min(SMALL, segment) && source.path === "" && !/[+#]/.test(source.name);
}
function remedy(word, code) {
  switch (word) {
    case "incomplete":
    case "checksum_mismatch":
      return "again";
    case "filemeta_conflict":
    case "already_complete":
      return "new-id";
    case "segment_too_large":
      return "smaller";
    case "no_such_transfer":
    case "file_checksum_mismatch":
      return "restart";
  }
  if (code === 151 || code === 128)
    return "wait";
  return code === 16 ? "restart" : "give-up";
}
function patience(code, retryAfter, tries) {
  return code === 151 ? retryAfter : Math.min(60, 2 ** Math.min(6, tries));
}
export {
  NAME_MAX,
  SMALL,
  fitsPut,
  identity,
  nameFault,
  patience,
  remedy
};
