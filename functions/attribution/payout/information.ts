/** One output token: its id in the base tokenizer and how many UTF-8 bytes of the output it contributed. */
export interface OutputToken {
  id: number
  bytes: number
}

/** Information is counted in integers of 2^-16 bit, the unit of `unigram.bin`. */
const BIT = 1 << 16

/**
 * Information of each token: min(cap, -log2 p_unigram), units of 2^-16 bit. `unigram` is the base model's fixed table
 * (u32 per token id of its tokenizer); taken from the Datanet it would let a deleted document change other people's pay
 * (P17). A padded vocabulary has ids beyond, and a payer reaches them by `logit_bias`: they are nobody's words and carry
 * nothing.
 */
export const tokenInformation = (
  tokens: readonly OutputToken[],
  unigram: Uint32Array,
  capBitsPerToken: number,
): number[] => tokens.map(({ id }) => Math.min(unigram[id] ?? 0, capBitsPerToken * BIT))

/** Half-open byte range of each token in the output. */
export const tokenRanges = (tokens: readonly OutputToken[]): { start: number; end: number }[] => {
  let end = 0
  return tokens.map(({ bytes }) => {
    const start = end
    end += bytes
    return { start, end }
  })
}
