import type { FilledDatanet } from './datanets.ts'
import type { AnsweredQuestion } from './questions.ts'

interface Paid {
  question: AnsweredQuestion
  shares: { payee: string; amount: string }[]
}

/** Two things that must hold, or the example fails: it says which answer broke which of them. */
export const checkControls = (paid: readonly Paid[], datanets: readonly FilledDatanet[]): string[] => {
  const broken: string[] = []
  for (const { question, shares } of paid) {
    const own = new Set(
      datanets.find(({ id }) => id === question.datanet)!.contributors.map(({ person }) => person.accountId),
    )
    for (const { payee } of shares)
      if (!own.has(payee))
        broken.push(`answer ${question.receiptId} of ${question.adapter} pays ${payee}, who is not in its Datanet`)
  }
  const repeating = paid.filter(({ question }) => question.repeats >= 60)
  if (repeating.length === 0)
    broken.push('no answer repeats 60 bytes of a contributor: the adapters learned too little to check')
  for (const { question, shares } of repeating) {
    const author = datanets
      .flatMap(({ contributors }) => contributors)
      .find(({ recipe }) => recipe.name === question.about)!.person.accountId
    const most = shares.reduce((best, share) => (BigInt(share.amount) > BigInt(best.amount) ? share : best), {
      payee: '',
      amount: '0',
    })
    if (most.payee !== author)
      broken.push(
        `answer ${question.receiptId} repeats ${question.repeats} bytes of ${question.about}, but pays ${most.payee} most`,
      )
  }
  return broken
}
