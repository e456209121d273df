/** Scores of every row on one answer; helpful is positive. `rows` and `answer` are gradients. */
export interface GradientScorer {
  score(answer: Float32Array): Float64Array
}

/**
 * Damped Fisher: s = G (F + l I)^-1 v with F the mean of g g^T and l = .1 x its mean diagonal. By the push-through
 * identity that is (l I + M / N)^-1 G v with the Gram matrix M, solved by Cholesky. RelatIF (Barshan et al. 2020) divides
 * by the root of each row's self-influence. Stands in for the EK-FAC of the influence image, which needs PyTorch.
 */
export const dampedFisher = (rows: readonly Float32Array[]): GradientScorer => {
  const n = rows.length
  const gram = gramOf(rows)
  const damping = (0.1 * trace(gram)) / n / (rows[0]?.length ?? 1)
  const factor = cholesky(gram.map((line, i) => line.map((value, j) => value / n + (i === j ? damping : 0))))
  const self = gram.map((line, k) => Math.sqrt(Math.max(1e-12, solve(factor, line)[k]!)))
  return { score: (answer) => solve(factor, project(rows, answer)).map((value, k) => value / self[k]!) }
}

/** DataInf (Kwon et al. 2024, eq. 5): the inverse of the mean is taken for the mean of the inverses, l = .1 x mean(g^2). */
export const dataInf = (rows: readonly Float32Array[]): GradientScorer => {
  const n = rows.length
  const gram = gramOf(rows)
  const damping = (0.1 * trace(gram)) / n / (rows[0]?.length ?? 1)
  return {
    score: (answer) => {
      const c = project(rows, answer)
      const weights = c.map((value, i) => value / (damping + gram[i]![i]!))
      return c.map((value, k) => (value - dot(gram[k]!, weights) / n) / damping)
    },
  }
}

/** Cosine of TF-IDF vectors over lower-case words. */
export const tfIdf = (rows: readonly string[]) => {
  const documents = rows.map(wordsOf)
  const frequency = new Map<string, number>()
  for (const words of documents) for (const word of new Set(words)) frequency.set(word, (frequency.get(word) ?? 0) + 1)
  const vectorOf = (words: readonly string[]) => {
    const vector = new Map<string, number>()
    for (const word of words)
      vector.set(word, (vector.get(word) ?? 0) + Math.log((rows.length + 1) / ((frequency.get(word) ?? 0) + 1)))
    const length = Math.sqrt([...vector.values()].reduce((sum, value) => sum + value * value, 0)) || 1
    return new Map([...vector].map(([word, value]) => [word, value / length]))
  }
  const vectors = documents.map(vectorOf)
  return {
    score: (answer: string): Float64Array => {
      const query = vectorOf(wordsOf(answer))
      return Float64Array.from(vectors, (vector) =>
        [...query].reduce((sum, [word, value]) => sum + value * (vector.get(word) ?? 0), 0),
      )
    },
  }
}

const wordsOf = (text: string) => text.toLowerCase().split(/\W+/).filter(Boolean)

const dot = (a: Float32Array | Float64Array, b: Float32Array | Float64Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
const gramOf = (rows: readonly Float32Array[]): Float64Array[] => {
  const gram = rows.map(() => new Float64Array(rows.length))
  for (let i = 0; i < rows.length; i++) for (let j = 0; j <= i; j++) gram[i]![j] = gram[j]![i] = dot(rows[i]!, rows[j]!)
  return gram
}
const trace = (matrix: readonly Float64Array[]) => matrix.reduce((sum, line, i) => sum + line[i]!, 0)
const project = (rows: readonly Float32Array[], v: Float32Array) => Float64Array.from(rows, (row) => dot(row, v))

const cholesky = (matrix: Float64Array[]): Float64Array[] => {
  const factor = matrix.map(() => new Float64Array(matrix.length))
  for (let i = 0; i < matrix.length; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]![j]!
      for (let k = 0; k < j; k++) sum -= factor[i]![k]! * factor[j]![k]!
      factor[i]![j] = i === j ? Math.sqrt(Math.max(sum, 1e-30)) : sum / factor[j]![j]!
    }
  return factor
}
const solve = (factor: readonly Float64Array[], right: Float64Array): Float64Array => {
  const n = factor.length
  const x = Float64Array.from(right)
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= factor[i]![k]! * x[k]!
    x[i]! /= factor[i]![i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= factor[k]![i]! * x[k]!
    x[i]! /= factor[i]![i]!
  }
  return x
}
