/**
 * Names of the environment variables that `infra` sets and handlers read, once.
 * A handler asks for the ones it needs through `#runtime/environment`; a missing one fails at start, by name.
 */
export const ENV = [
  'REGISTRY_TABLE',
  'LEDGER_TABLE',
  'DATA_BUCKET',
  'MODELS_BUCKET',
  'RECEIPTS_BUCKET',
  'USER_POOL_ID',
  'OIDC_ISSUER',
  'OIDC_AUDIENCE',
  'OIDC_JWKS_URI',
  'OPERATORS_GROUP',
  'ATTRIBUTION_QUEUE_URL',
  'RECEIPT_LOG_QUEUE_URL',
  'INGESTION_STATE_MACHINE_ARN',
  'TRAINING_STATE_MACHINE_ARN',
  'EPOCH_STATE_MACHINE_ARN',
  'FINE_TUNE_IMAGE',
  'OPEN_LORA_IMAGE',
  'INFLUENCE_IMAGE',
  'TRAINING_ROLE_ARN',
  'HOSTING_ROLE_ARN',
  'TRAINING_INSTANCE_TYPE',
  'HOSTING_INSTANCE_TYPE',
  'INFERENCE_SECRET_ARN',
  'ENDPOINT_PREFIX',
  'MAX_ENDPOINTS',
  'CHAIN_RPC_URL',
  'CHAIN_ID',
  'ESCROW_ADDRESS',
  'SETTLEMENT_ADDRESS',
  'TOKEN_ADDRESS',
  'SETTLER_KEY_ID',
  'SETTLER_ADDRESS',
  'PUSH_THRESHOLD',
  'PLATFORM_PAYEE',
  'PLATFORM_FEE_BPS',
  'TRAINING_PRICE_PER_SECOND',
  'EPOCH_GRACE_SECONDS',
  'FINALITY_BLOCKS_TAG',
] as const

export type EnvName = (typeof ENV)[number]
export type Environment = Partial<Record<EnvName, string>>
