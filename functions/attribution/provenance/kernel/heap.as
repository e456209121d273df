// A stack of memory: what is reserved lies above what was reserved before, and is released from the top.

let top: usize = (__heap_base + 15) & ~15

export function heapTop(): usize {
  return top
}

/** `bytes` bytes of memory, aligned to 16, not cleared. Traps when WebAssembly's 4 GiB are spent. */
export function reserve(bytes: usize): usize {
  const at = top
  const end = <u64>at + ((<u64>bytes + 15) & ~15)
  const have = (<u64>memory.size()) << 16
  if (end > have) {
    if (end > 0xffff0000 || memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable()
  }
  top = <usize>end
  return at
}

export function release(to: usize): void {
  top = to
}
