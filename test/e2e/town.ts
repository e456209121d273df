import type { Town } from './access-matrix.ts'

/** The example's people and what belongs to whom, for the access matrix: run.json, and the example's own journal. */
// biome-ignore lint/suspicious/noExplicitAny: both are written by the example
export const townOf = (run: any, journal: Readonly<Record<string, any>>): Town => {
  // The first brings texts to legal, the last to defi: influence may pay any contributor of legal for the receipt below.
  const names = Object.keys(run.people.contributors)
  const [contributor, stranger] = [names[0]!, names.at(-1)!]
  const datanet = journal['datanet legal']
  return {
    baseUrl: run.api.baseUrl,
    tokens: {
      nobody: undefined,
      forger: 'nonsense',
      client: run.keys.client,
      builder: run.people.builder,
      contributor: run.people.contributors[contributor].token,
      stranger: run.people.contributors[stranger].token,
      curator: run.people.curator,
      operator: run.people.operator,
    },
    ids: {
      accountId: journal['account client'].id,
      keyId: journal['client key'].key.id,
      datanetId: datanet.id,
      contributionId: journal[`contribution ${contributor}`],
      version: '1',
      baseId: journal['base model'],
      trainingId: journal[`training ${run.adapters[0].name}`].id,
      adapterId: run.adapters[0].id,
      namespace: run.adapters[0].name.split('/')[0],
      name: run.adapters[0].name.split('/')[1],
      receiptId: run.inferences[0].receiptId,
      address: run.payees[0].address,
    },
  }
}
