(coalesce(bool_or(marker = 'liver/platelets' AND age <= 7776000000), false)
  AND (coalesce(bool_or(fact IN ('liver/delivery', 'liver/pregnant', 'liver/puerperium')), false)
    AND coalesce(bool_or(marker = 'liver/platelets' AND age <= 15552000000 AND high <= 100000000), false)))
