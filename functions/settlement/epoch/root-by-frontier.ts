import { createKeccak } from 'hash-wasm'

/**
 * The root of packed leaves by a second way, for the comparison before anything is signed: leaves enter one by one,
 * and a binary counter of finished subtrees (the "frontier") is merged as it goes; empty subtrees close it at the end.
 * Shares no code with `merkle-tree.ts`.
 */
export const rootByFrontier = async (packed: Uint8Array, depth: number, bytesPerLeaf = 37): Promise<string> => {
  const hasher = await createKeccak(256)
  const keccak = (...parts: Uint8Array[]): Uint8Array => {
    hasher.init()
    for (const part of parts) hasher.update(part)
    return hasher.digest('binary')
  }
  const frontier: (Uint8Array | undefined)[] = new Array(depth + 1)
  const count = packed.length / bytesPerLeaf
  for (let leaf = 0; leaf < count; leaf++) {
    let node = keccak(keccak(packed.subarray(leaf * bytesPerLeaf, (leaf + 1) * bytesPerLeaf)))
    let level = 0
    while (frontier[level]) {
      node = keccak(frontier[level]!, node)
      frontier[level++] = undefined
    }
    frontier[level] = node
  }
  let empty: Uint8Array = new Uint8Array(32)
  let open: Uint8Array | undefined
  for (let level = 0; level < depth; level++) {
    const left = frontier[level]
    if (left) open = keccak(left, open ?? empty)
    else if (open) open = keccak(open, empty)
    empty = keccak(empty, empty)
  }
  return `0x${Buffer.from(frontier[depth] ?? open ?? empty).toString('hex')}`
}
