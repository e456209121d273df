/**
 * Suffix array by induced sorting (SA-IS: Nong, Zhang, Chan, "Two efficient algorithms for linear time suffix array
 * construction", 2011), the readable form. Suffixes compare as if a symbol smaller than all followed the text.
 */
export function suffixArray(text: ArrayLike<number>, alphabet: number): Int32Array {
  const n = text.length
  const sa = new Int32Array(n).fill(-1)
  if (n === 0) return sa
  const small = new Uint8Array(n) // 1: S-type, smaller than the suffix after it
  for (let i = n - 2; i >= 0; i--) {
    const [a, b] = [text[i]!, text[i + 1]!]
    if (a < b || (a === b && small[i + 1])) small[i] = 1
  }
  const isLms = (i: number) => i > 0 && small[i] === 1 && small[i - 1] === 0
  const counts = new Int32Array(alphabet + 1)
  for (let i = 0; i < n; i++) counts[text[i]! + 1]!++
  for (let c = 0; c < alphabet; c++) counts[c + 1]! += counts[c]!
  const heads = () => counts.slice(0, alphabet)
  const tails = () => counts.slice(1)

  const induce = () => {
    const head = heads()
    if (!small[n - 1]) sa[head[text[n - 1]!]!++] = n - 1 // the suffix before the end symbol comes first
    for (let i = 0; i < n; i++) {
      const j = sa[i]! - 1
      if (j >= 0 && !small[j]) sa[head[text[j]!]!++] = j
    }
    const tail = tails()
    for (let i = n - 1; i >= 0; i--) {
      const j = sa[i]! - 1
      if (j >= 0 && small[j]) sa[--tail[text[j]!]!] = j
    }
  }

  const lms: number[] = []
  for (let i = 1; i < n; i++) if (isLms(i)) lms.push(i)
  const tail = tails()
  for (const i of lms) sa[--tail[text[i]!]!] = i
  induce()

  // Name the sorted LMS substrings; equal ones share a name.
  const names = new Int32Array(n).fill(-1)
  let name = -1
  let previous = -1
  for (let k = 0; k < n; k++) {
    const i = sa[k]!
    if (!isLms(i)) continue
    if (previous < 0 || !sameSubstring(previous, i)) name++
    names[i] = name
    previous = i
  }
  function sameSubstring(a: number, b: number): boolean {
    for (let d = 0; ; d++) {
      if (a + d >= n || b + d >= n) return false
      if (text[a + d] !== text[b + d] || small[a + d] !== small[b + d]) return false
      if (d > 0 && isLms(a + d) && isLms(b + d)) return true
    }
  }
  const reduced = Int32Array.from(lms, (i) => names[i]!)
  const order = name + 1 === lms.length ? inverse(reduced) : suffixArray(reduced, name + 1)
  sa.fill(-1)
  const end = tails()
  for (let k = order.length - 1; k >= 0; k--) {
    const i = lms[order[k]!]!
    sa[--end[text[i]!]!] = i
  }
  induce()
  return sa
}

function inverse(permutation: Int32Array): Int32Array {
  const result = new Int32Array(permutation.length)
  for (let i = 0; i < permutation.length; i++) result[permutation[i]!] = i
  return result
}
