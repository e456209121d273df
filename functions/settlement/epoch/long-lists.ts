/**
 * Evidence and shares are most of a receipt's line, and each list has one shape. These patterns are that shape as canonical
 * JSON writes it, so that one pass over the text checks fields, values, order of keys and blanks at once (a third of the
 * time of schema and canonical form apart). They take less than the schema (`Attribution` in #schema/receipt), never more:
 * what they do not take goes the long way, and its message is the schema's.
 */
const credit = '"cluster":"row_[0-9a-f]{24}","contributor":"acc_[0-9a-f]{24}","datanetId":"dn_[0-9a-f]{24}"'
const quarantined = '(?:,"quarantined":true)?'
const digits = '"(?:0|-?[1-9][0-9]{0,38})"'
// One entry a match: a long list must not fill the stack of the regular expression.
const entry = (fields: string) => new RegExp(`\\{${fields}\\}(?:,(?=\\{)|(?=\\]))`, 'y')
const LISTS = [
  { name: 'influence', entry: entry(`${credit}${quarantined},"score":${digits}`) },
  { name: 'provenance', entry: entry(`"bits":${digits},${credit}${quarantined}`) },
  // 38 digits are below 2^128 in any case.
  { name: 'shares', entry: entry('"amount":"(?:0|[1-9][0-9]{0,37})","payee":"acc_[0-9a-f]{24}"') },
] as const

type Taken = Partial<Record<(typeof LISTS)[number]['name'], string>>

/**
 * Takes the entries of these lists out of a line: `skeleton` is the line with the lists empty, `taken` the JSON of each.
 * A list that is empty, missing or not of the shape stays where it is. A quote inside a JSON string has a backslash before
 * it, so the text of a key with its colon is never found inside of one.
 */
export const takeLists = (line: string): { skeleton: string; taken: Taken } => {
  const taken: Taken = {}
  let skeleton = line
  for (const { name, entry } of LISTS) {
    const key = `"${name}":[{`
    const start = skeleton.indexOf(key) + key.length - 1
    if (start < key.length - 1) continue
    let end = start
    for (entry.lastIndex = start; entry.test(skeleton); ) end = entry.lastIndex
    if (skeleton[end] !== ']') continue
    taken[name] = skeleton.slice(start - 1, end + 1)
    skeleton = skeleton.slice(0, start) + skeleton.slice(end)
  }
  return { skeleton, taken }
}
