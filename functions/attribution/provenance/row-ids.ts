/**
 * Ids of rows in ascending order (JavaScript `<`), front-coded: an id is the number of bytes that it shares with the one before,
 * the number of bytes that follow, and those bytes. Every 16th id stands whole.
 */
const WHOLE_EVERY = 16

/** Variable-length integers: seven bits a byte, the lowest first. */
export class VariableBytes {
  #bytes = Buffer.alloc(1024)
  #length = 0

  number(value: number): void {
    this.#room(5)
    for (let rest = value; ; rest >>>= 7) {
      this.#bytes[this.#length++] = rest < 128 ? rest : (rest & 127) | 128
      if (rest < 128) return
    }
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.alloc(2 * (this.#length + more))
    larger.set(this.written())
    this.#bytes = larger
  }
}

/** Reads what VariableBytes wrote. */
export class VariableReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  number(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.at++]!
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 0
    }
  }

  bytes(length: number): Uint8Array {
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }
}

export function encodeIds(sorted: readonly string[]): Uint8Array {
  const out = new VariableBytes()
  let previous = Buffer.alloc(0)
  for (const [i, id] of sorted.entries()) {
    const bytes = Buffer.from(id)
    let shared = 0
    if (i % WHOLE_EVERY !== 0) while (shared < previous.length && previous[shared] === bytes[shared]) shared++
    out.number(shared)
    out.number(bytes.length - shared)
    out.bytes(bytes.subarray(shared))
    previous = bytes
  }
  return out.written()
}

export class RowIds {
  readonly count: number
  readonly #bytes: Uint8Array
  /** Where every 16th id begins. */
  readonly #whole: Uint32Array

  /** `bytes` is copied: an opened index's memory may move. */
  constructor(bytes: Uint8Array, count: number) {
    this.#bytes = Buffer.from(bytes)
    this.count = count
    this.#whole = new Uint32Array(Math.ceil(count / WHOLE_EVERY))
    const reader = new VariableReader(this.#bytes)
    for (let i = 0; i < count; i++) {
      if (i % WHOLE_EVERY === 0) this.#whole[i / WHOLE_EVERY] = reader.at
      reader.number()
      reader.bytes(reader.number())
    }
  }

  id(number: number): string {
    const whole = Math.floor(number / WHOLE_EVERY)
    return this.#ids(whole, (number % WHOLE_EVERY) + 1).at(-1)!
  }

  /** The row's number, or -1. */
  numberOf(id: string): number {
    let low = 0
    let high = this.#whole.length - 1
    if (high < 0) return -1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#ids(middle, 1)[0]! <= id) low = middle
      else high = middle - 1
    }
    const at = this.#ids(low, Math.min(WHOLE_EVERY, this.count - low * WHOLE_EVERY)).indexOf(id)
    return at < 0 ? -1 : low * WHOLE_EVERY + at
  }

  #ids(whole: number, count: number): string[] {
    const reader = new VariableReader(this.#bytes, this.#whole[whole]!)
    const ids: string[] = []
    let previous = Buffer.alloc(0)
    for (let i = 0; i < count; i++) {
      const shared = reader.number()
      previous = Buffer.concat([previous.subarray(0, shared), reader.bytes(reader.number())])
      ids.push(previous.toString())
    }
    return ids
  }
}
