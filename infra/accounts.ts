import { Aws, CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib'
import { AccountRecovery, CfnUserPoolGroup, UserPool } from 'aws-cdk-lib/aws-cognito'
import { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import { OPERATOR_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

const READ = ['dynamodb:GetItem', 'dynamodb:Query']

/** Who people are (Cognito, or the customer's issuer), their accounts and API keys, and the one authorizer. */
export class Accounts extends Construct {
  readonly doors: Doors
  readonly authorizer: HouseFunction

  constructor(scope: Construct, id: string, { storage }: { storage: Storage }) {
    super(scope, id)
    const { config } = House.of(this)
    const issuer = config.oidc ?? this.#userPool()
    const tables = { REGISTRY_TABLE: storage.registry.tableName, LEDGER_TABLE: storage.ledger.tableName }
    const chain: Environment = config.chain
      ? {
          CHAIN_RPC_URL: config.chain.rpcUrl,
          CHAIN_ID: String(config.chain.chainId),
          SETTLEMENT_ADDRESS: config.chain.settlement,
        }
      : {}
    const registry = [storage.registry.tableArn]

    this.authorizer = new HouseFunction(this, 'Authorizer', {
      door: 'accounts/authorize-caller',
      description: 'Who calls: a JWT of a person or an API key',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        OIDC_ISSUER: issuer.issuer,
        OIDC_AUDIENCE: issuer.audience,
        OIDC_JWKS_URI: issuer.jwksUri,
        OPERATORS_GROUP: config.operatorsGroup,
      },
    }).allow(['dynamodb:GetItem', 'dynamodb:PutItem'], registry)

    const door = (
      name: string,
      verb: string,
      description: string,
      registryActions: string[],
      ledgerActions: string[] = [],
      environment: Environment = {},
    ) => {
      const made = new HouseFunction(this, name, {
        door: `accounts/${verb}`,
        description,
        environment: { ...tables, ...environment },
      })
      if (registryActions.length > 0) made.allow(registryActions, registry)
      if (ledgerActions.length > 0) made.allow(ledgerActions, [storage.ledger.tableArn])
      return made
    }
    const sweep = door(
      'SweepHolds',
      'sweep-holds',
      'Frees holds of requests that died',
      [],
      ['dynamodb:GetItem', 'dynamodb:UpdateItem'],
    ).allow(['dynamodb:Query'], [`${storage.ledger.tableArn}/index/PENDING`])
    new HouseSchedule(this, 'SweepSchedule', {
      expression: 'rate(5 minutes)',
      target: sweep,
      description: 'Expired holds',
      errorImpact: 'Money of clients whose requests died stays locked.',
    })
    this.doors = {
      getAccount: door(
        'GetAccount',
        'get-account',
        'Balance and address of the caller',
        [...READ, 'dynamodb:PutItem'],
        READ,
        chain,
      ),
      updateAccount: door(
        'UpdateAccount',
        'update-account',
        'Set name and payout address',
        [...READ, 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
        READ,
        chain,
      ),
      linkPayer: door('LinkPayer', 'link-payer', 'Declare a payer as linked to oneself', ['dynamodb:PutItem']),
      createKey: door('CreateKey', 'create-key', 'Make an API key', ['dynamodb:PutItem']),
      listKeys: door('ListKeys', 'list-keys', 'List API keys', READ),
      revokeKey: door('RevokeKey', 'revoke-key', 'Revoke an API key', [...READ, 'dynamodb:UpdateItem']),
      creditAccount: door(
        'CreditAccount',
        'credit-account',
        "Credit from the operator's backed balance",
        ['dynamodb:GetItem', 'dynamodb:UpdateItem'],
        ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
        { OPERATOR_PAYEE },
      ),
    }
  }

  #userPool(): { issuer: string; audience: string; jwksUri: string } {
    const { config } = House.of(this)
    const pool = new UserPool(this, 'People', {
      selfSignUpEnabled: true,
      signInAliases: { email: true },
      autoVerify: { email: true },
      accountRecovery: AccountRecovery.EMAIL_ONLY,
      passwordPolicy: {
        minLength: 12,
        requireDigits: true,
        requireLowercase: true,
        requireSymbols: true,
        requireUppercase: true,
      },
      deletionProtection: config.stage === 'prod',
      removalPolicy: config.stage === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    })
    const client = pool.addClient('Console', {
      authFlows: { userPassword: config.stage === 'dev', userSrp: true, adminUserPassword: true },
      idTokenValidity: Duration.hours(12),
      accessTokenValidity: Duration.hours(12),
      refreshTokenValidity: Duration.days(30),
      preventUserExistenceErrors: true,
    })
    new CfnUserPoolGroup(this, 'Operators', {
      userPoolId: pool.userPoolId,
      groupName: config.operatorsGroup,
      description: 'May credit accounts, import base models and close epochs',
    })
    new CfnOutput(this, 'UserPoolId', { value: pool.userPoolId }).overrideLogicalId('UserPoolId')
    new CfnOutput(this, 'UserPoolClientId', { value: client.userPoolClientId }).overrideLogicalId('UserPoolClientId')
    const issuer = `https://cognito-idp.${Aws.REGION}.${Aws.URL_SUFFIX}/${pool.userPoolId}`
    return { issuer, audience: client.userPoolClientId, jwksUri: `${issuer}/.well-known/jwks.json` }
  }
}
