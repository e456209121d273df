// Arrays of numbers of 32 bits in the kernel's memory.

// @ts-ignore: decorator
@inline
export function get(array: usize, i: i32): i32 {
  return load<i32>(array + (<usize>i << 2))
}

// @ts-ignore: decorator
@inline
export function set(array: usize, i: i32, value: i32): void {
  store<i32>(array + (<usize>i << 2), value)
}
