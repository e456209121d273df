/** Where things of a Datanet lie in the data bucket. */
export const quarantineKey = (datanetId: string, contributionId: string): string =>
  `quarantine/${datanetId}/${contributionId}`

/** The contribution of a quarantined upload; undefined for any other key. */
export const quarantined = (key: string): { datanetId: string; contributionId: string } | undefined => {
  const found = /^quarantine\/(dn_[0-9a-f]{24})\/(ctr_[0-9a-f]{24})$/.exec(key)
  return found ? { datanetId: found[1] as string, contributionId: found[2] as string } : undefined
}

export const partFolder = (datanetId: string, contributionId: string): string =>
  `datanets/${datanetId}/parts/${contributionId}/`
export const partKeys = (datanetId: string, contributionId: string) => {
  const part = partFolder(datanetId, contributionId).slice(0, -1)
  return {
    rows: `${part}/rows.jsonl`,
    rejected: `${part}/rejected.jsonl`,
    signatures: `${part}/signatures.bin`,
    shard: (n: number) => {
      const shard = `${part}/provenance-${String(n).padStart(3, '0')}`
      return { indexKey: `${shard}.idx`, filterKey: `${shard}.filter`, tableKey: `${shard}.rows` }
    },
  }
}

export const versionKey = (datanetId: string, version: number): string =>
  `datanets/${datanetId}/versions/${version}.json`
/** Roots of a version's parts, in their order: what a proof from a row to the version's root needs. */
export const partRootsKey = (datanetId: string, version: number): string =>
  `datanets/${datanetId}/versions/${version}.roots.json`

/** Work of one ingestion; a lifecycle rule expires it. Not under quarantine/, where every new object starts an ingestion. */
export const workFolder = (datanetId: string, contributionId: string): string =>
  `ingestion/${datanetId}/${contributionId}/`
export const workKeys = (datanetId: string, contributionId: string) => {
  const work = workFolder(datanetId, contributionId).slice(0, -1)
  const chunk = (index: number) => `${work}/${String(index).padStart(5, '0')}`
  return {
    chunks: `${work}/chunks.json`,
    candidates: (index: number) => `${chunk(index)}.candidates.jsonl`,
    rejected: (index: number) => `${chunk(index)}.rejected.jsonl`,
    signatures: (index: number) => `${chunk(index)}.signatures`,
    summary: (index: number) => `${chunk(index)}.json`,
  }
}
