(coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
  AND (coalesce(bool_or(marker = 'liver/ast' AND age <= 8035200000), false)
    AND coalesce(bool_or(marker = 'liver/platelets' AND age <= 15552000000), false)
    AND coalesce(bool_or(marker = 'liver/alt' AND age <= 8035200000), false)))
