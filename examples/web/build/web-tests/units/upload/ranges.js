// src/upload/ranges.ts
function gaps(have, size) {
  const missing = [];
  let end = 0;
  for (const [offset, length] of have) {
    if (offset >= size)
      break;
    if (offset > end)
      missing.push([end, offset - end]);
    end = Math.max(end, offset + length);
  }
  if (end < size)
    missing.push([end, size - end]);
  return missing;
}
function total(ranges) {
  return ranges.reduce((sum, [, length]) => sum + length, 0);
}
function rangesOf(value) {
  if (!Array.isArray(value))
    return [];
  return value.filter((r) => Array.isArray(r) && r.length === 2 && Number.isSafeInteger(r[0]) && Number.isSafeInteger(r[1]) && r[0] >= 0 && r[1] >= 0);
}
export {
  gaps,
  rangesOf,
  total
};
