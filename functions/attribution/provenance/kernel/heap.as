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
    // A sixteenth more than asked for, in a few large steps: V8 collects garbage after many small ones, and pages that nobody
    // writes take no room.
    const pages = <i32>((end - have + 0xffff) >> 16)
    if (end > 0xffff0000) unreachable()
    if (memory.grow(max<i32>(pages, memory.size() >> 4)) < 0 && memory.grow(pages) < 0) unreachable()
  }
  top = <usize>end
  return at
}

export function release(to: usize): void {
  top = to
}
