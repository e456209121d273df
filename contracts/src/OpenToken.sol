// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title OPEN for development chains and deployments with a token of their own: fixed supply, permit, no owner.
contract OpenToken is ERC20, ERC20Permit {
    error ZeroHolder();

    /// @param holder receives the whole supply
    /// @param supply in units of 1e-18 OPEN
    constructor(address holder, uint256 supply) ERC20("OPEN", "OPEN") ERC20Permit("OPEN") {
        if (holder == address(0)) revert ZeroHolder();
        _mint(holder, supply);
    }
}
